"""Is a series whole, settled and of a kind that is sent? Told from headers alone.

Sending half a scan for contouring is a patient-safety fault, so a series is ready only when nothing
speaks against it. What may still mend itself waits with a reason; what is not for us is ignored.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from drawcli.core.kinds import slice_kind
from drawcli.core.slices import Slice
from drawcli.core.stack import LARGEST_STEP, not_planes, not_stack, one_orientation
from drawcli.core.verdict import Readiness, Verdict, ignored, refused, waiting

_MOST_SCOUTS: Final = 3  # slices of a localizer that does not say what it is
SETTLING: Final = frozenset({"arriving", "too-young"})  # what is over by itself
_DATE_TEXT: Final = "without a study date, and scan.studied_after asks for one"
_MODALITY_TEXT: Final = "a modality that scan.modalities does not list"
_CLASS_TEXT: Final = "an SOP class that scan.sop_classes does not list"
_SIZE_TEXT: Final = "larger than scan.max_series_gib"
_SEVERAL_TEXT: Final = "more than one multi-frame image in the series: one cannot be chosen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What a site asks of a series."""

    modalities: frozenset[str]
    min_slices: int
    quiet_seconds: float = 0  # 0: neither waited for, nor seen twice
    min_age_seconds: float = 0  # since the first file of the series was seen
    studied_after: str = ""  # yyyymmdd; "" takes every study
    sop_classes: frozenset[str] = frozenset()  # none: all that are supported
    largest_bytes: float = inf  # of all files together
    largest_step: float = LARGEST_STEP  # times the usual distance of two slices


@dataclass(frozen=True, slots=True, kw_only=True)
class Calm:
    """Since when nothing in a series has changed: by our clock, and by that of the datastore."""

    first_ns: int  # when a scan first saw a file of it
    since_ns: int  # when a scan first saw the files as they are now
    newest_ns: int  # the latest mtime of its files


def assess(slices: Sequence[Slice], demands: Demands) -> Verdict:
    """Tell what to do with a series once it is settled, given every file of it that was read.

    The first reason found is told: kind, what the site asks for, then one thing after the other
    that a whole series must fulfil.
    """
    kinds = [slice_kind(one) for one in slices]
    if all(kind.readiness is Readiness.IGNORED for kind in kinds):
        nameless = (refused(one.code, one.text) for one in kinds if one.code == "no-uid")
        return next(nameless, kinds[0])  # a whole scan may lack its UIDs
    scans = scan_slices(slices)
    against = next((kind for kind in kinds if kind.readiness is Readiness.REFUSED), None)
    unwanted = _unwanted(scans, demands, refused_too=against is not None)
    return unwanted or against or _mixed(scans) or _frames(scans) or _geometry(scans, demands)


def settled(verdict: Verdict, demands: Demands, calm: Calm, now_ns: int) -> Verdict:
    """Return the verdict, or that the series may still be arriving.

    The clock of the datastore may differ from ours, and copies may keep old times: so our own
    clock must have seen the same files for as long, which takes an earlier scan than this one. A
    time in the future says nothing.
    """
    if verdict.readiness is Readiness.IGNORED:
        return verdict
    if demands.quiet_seconds > 0:
        ages = [now_ns - calm.since_ns, *(a for a in [now_ns - calm.newest_ns] if a >= 0)]
        if min(ages) < demands.quiet_seconds * 1e9:
            text = "still arriving: a file came or changed less than quiet_minutes ago"
            return waiting("arriving", text)
    if 0 < demands.min_age_seconds * 1e9 > now_ns - calm.first_ns:
        return waiting("too-young", "came less than scan.min_age_minutes ago")
    return verdict


def _unwanted(scans: Sequence[Slice], demands: Demands, *, refused_too: bool) -> Verdict | None:
    """Return why a site does not want a series, or None."""
    first, count = scans[0], sum(one.count for one in scans)
    classes = demands.sop_classes
    for speaks, code, text in (
        (first.modality not in demands.modalities, "modality", _MODALITY_TEXT),
        (classes and first.sop_class not in classes, "sop-class", _CLASS_TEXT),
        (demands.studied_after and not first.study_date, "no-study-date", _DATE_TEXT),
        (first.study_date < demands.studied_after, "too-old", "studied before scan.studied_after"),
        (_is_localizer(scans, count), "localizer", "a localizer, by its few slices or its name"),
        (
            count < demands.min_slices and not refused_too,
            "few-slices",
            "fewer slices than scan.min_slices",
        ),
        (sum(one.size for one in scans) > demands.largest_bytes, "over-size", _SIZE_TEXT),
    ):
        if speaks:
            return ignored(code, text)
    return None


def _is_localizer(scans: Sequence[Slice], count: int) -> bool:
    """Tell whether a series is a localizer that does not say so in its Image Type.

    A description alone does not make one: many slices of one orientation are a scan.
    """
    if any(one.frames is not None for one in scans):
        return False
    named = any(one.called_scout for one in scans)
    few = count <= _MOST_SCOUTS
    return (named or few) and (
        (named and few) or not one_orientation([plane for one in scans for plane in one.planes])
    )


def scan_slices(slices: Iterable[Slice]) -> list[Slice]:
    """Return the files of a series without the localizers that some scanners put into it."""
    return [one for one in slices if slice_kind(one).code != "localizer"]


def without_copies(slices: Sequence[Slice], is_same: Callable[[str, str], bool]) -> list[Slice]:
    """Return the files of a series with each instance once, where copies are the same throughout.

    Of copies the one is taken that lies where most of the series lies: contours may be delivered
    beside it, and a stray copy may lie with another patient.

    Parameters
    ----------
    slices
        The files.
    is_same
        Tells of two paths whether the files are the same, byte for byte.
    """
    homes = Counter(_folder(one.path) for one in slices)
    if len(slices) == len({one.sop_uid for one in slices}):
        return list(slices)
    taken: dict[str, Slice] = {}
    kept = []
    for one in sorted(slices, key=lambda one: (-homes[_folder(one.path)], one.path)):
        other = taken.setdefault(one.sop_uid, one)
        copied = other is not one and other.size == one.size and one.sop_uid
        if not (copied and is_same(other.path, one.path)):
            kept.append(one)
    return kept


def home_of(slices: Iterable[Slice]) -> str:
    """Return the folder in which most files of a series lie."""
    homes = Counter(_folder(one.path) for one in slices)
    return min(homes, key=lambda folder: (-homes[folder], folder))


def _folder(path: str) -> str:
    return path[: max(path.rfind("/"), path.rfind("\\")) + 1]


def _mixed(slices: Sequence[Slice]) -> Verdict | None:
    """Return why the files cannot be one series of one patient, or None."""
    for code, what, values in (
        ("mixed-patients", "more than one patient", {one.person for one in slices}),
        ("mixed-studies", "more than one study", {one.study_uid for one in slices}),
        ("mixed-kinds", "more than one SOP class", {one.sop_class for one in slices}),
        (
            "mixed-frames",
            "more than one frame of reference",
            {s.frame_of_reference for s in slices},
        ),
        ("mixed-shapes", "slices of different rows or columns", {one.shape for one in slices}),
    ):
        if len(values) > 1:
            return waiting(code, f"{what} in one series")
    if any(slice_kind(one).readiness is Readiness.IGNORED for one in slices):
        return waiting("mixed-kinds", "files in the series that are no slices")
    short = sum(one.pixels_missing != 0 for one in slices)
    if short:
        return waiting("truncated", f"{short} of {len(slices)} files end before their pixels do")
    twice = sum(count - 1 for count in Counter(one.sop_uid for one in slices).values())
    if twice:
        return waiting(
            "duplicates", f"{twice} files repeat the SOP Instance UID of another, and differ"
        )
    return None


def _frames(slices: Sequence[Slice]) -> Verdict | None:
    """Return why multi-frame images are not one whole volume, or None."""
    described = [(one.count, len(one.frames.planes)) for one in slices if one.frames is not None]
    for count, groups in described:
        if count != groups:
            text = f"{count} frames announced, functional groups for {groups}"
            return waiting("frames-missing", text)
    return refused("several-multiframe", _SEVERAL_TEXT) if len(described) > 1 else None


def _geometry(slices: Sequence[Slice], demands: Demands) -> Verdict:
    """Return what slices, or frames, say of a gapless stack of parallel planes."""
    planes = [plane for one in slices for plane in one.planes]
    against = not_planes(planes) or not_stack(planes, demands.largest_step)
    return against or Verdict(Readiness.READY)
