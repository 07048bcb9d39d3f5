"""Whether a series is complete, settled and of a kind that is sent, from its headers alone.

Contouring half a scan would endanger the patient, so a series is ready only without any reason
against it. A series that may still become complete waits; other kinds are ignored.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import Final, NamedTuple

from drawcli.core.dicom.instance import Slice
from drawcli.core.series.instance_kind import slice_kind
from drawcli.core.series.members import scan_slices
from drawcli.core.series.stacking import (
    not_gapless,
    not_planes,
    not_straight,
    not_together,
    one_orientation,
)
from drawcli.core.series.verdict import Readiness, Verdict, ignored, refused, waiting
from drawcli.core.series.zones import LARGEST_STEP

_MOST_SCOUTS: Final = 3  # slices of a localizer that does not say what it is
ARRIVING: Final = "arriving"
PULLING: Final = "pulling"
SETTLING: Final = frozenset({ARRIVING, "too-young"})  # reasons that end by themselves
_DATE_TEXT: Final = "no study date, but scan.studied_after requires one"
_MODALITY_TEXT: Final = "a modality that scan.modalities does not list"
_CLASS_TEXT: Final = "an SOP class that scan.sop_classes does not list"
_SIZE_TEXT: Final = "larger than scan.max_series_gib"
_TYPES_TEXT: Final = (
    "images of different kinds in one series, by Image Type: such as magnitude and phase"
)
# Values of Image Type that distinguish images of one MR acquisition, by their meaning.
_OF_MR: Final = (
    {"M": "M", "MAGNITUDE": "M", "M_FFE": "M", "M_SE": "M", "M_IR": "M"}
    | {"P": "P", "PHASE": "P", "PHASE MAP": "P", "R": "R", "REAL": "R"}
    | {"I": "I", "IMAGINARY": "I", "WATER": "W", "W": "W", "FAT": "F", "F": "F"}
    | dict.fromkeys(("IN_PHASE", "IP"), "IP")
    | dict.fromkeys(("OUT_PHASE", "OPP_PHASE", "OP"), "OP")
    | {word: word for word in ("ADC", "FA", "TRACEW", "VELOCITY", "MIP", "SUB")}
)
_UNRECORDED_TEXT: Final = (
    "pulled, but the record of its images is missing or damaged: the next pull makes it again"
)
_SEVERAL_TEXT: Final = "more than one multi-frame image in the series"


class Criteria(NamedTuple):
    """The criteria of a site for a series."""

    modalities: frozenset[str]
    min_slices: int
    quiet_seconds: float = 0  # 0: no wait, a single scan is enough
    min_age_seconds: float = 0  # since the first file of the series was seen
    studied_after: str = ""  # yyyymmdd; "" takes every study
    sop_classes: frozenset[str] = frozenset()  # empty: all that are supported
    largest_bytes: float = inf  # of all files together
    largest_step: float = LARGEST_STEP  # times the usual distance of two slices


class SettlingTimes(NamedTuple):
    """Times of the last change of a series, by our clock and by that of the datastore."""

    first_ns: int  # when a scan first saw a file of it
    since_ns: int  # when a scan first saw the present files
    newest_ns: int  # the latest mtime of its files


def assess(
    slices: Sequence[Slice], demands: Criteria, released: frozenset[str] = frozenset()
) -> Verdict:
    """Return the verdict on a series once it is settled, from all files of it that were read.

    The verdict has the first reason found: the kind, the criteria of the site, then each condition
    of a complete series. It does not depend on the order of the files.

    Parameters
    ----------
    slices
        The files, including those that are not slices.
    demands
        The criteria of the site.
    released
        Codes that a user released for these files.
    """
    scans = scan_slices(slices) or slices
    kinds = [slice_kind(slice_) for slice_ in scans]
    if all(kind.readiness is Readiness.IGNORED for kind in kinds):
        no_uid = (refused(kind.code, kind.text) for kind in kinds if kind.code == "no-uid")
        return next(no_uid, _most_common(kinds))  # a whole scan may lack its UIDs
    refusals = [kind for kind in kinds if kind.readiness is Readiness.REFUSED]
    unwanted = _unwanted(scans, demands, refused_too=bool(refusals))
    if unwanted or refusals:
        return unwanted or _most_common(refusals)
    reasons = (v for v in _reasons(scans, demands) if v and v.code not in released)
    return next(reasons, Verdict(Readiness.READY))


def _most_common(kinds: Iterable[Verdict]) -> Verdict:
    counts = Counter(kinds)
    return min(counts, key=lambda kind: (-counts[kind], kind.code, kind.text))


def _reasons(scans: Sequence[Slice], demands: Criteria) -> Iterator[Verdict | None]:
    """Yield the possible reasons against slices of a kind that is sent."""
    yield _mixed(scans)
    yield _frames(scans)
    planes = [plane for slice_ in scans for plane in slice_.planes]
    reason = not_planes(planes) or not_together(planes)
    if reason:  # the next checks need the position of each slice
        yield reason
        return
    yield not_gapless(planes, demands.largest_step, numbered=_are_numbered(scans))
    yield not_straight(planes)
    yield _image_types(scans)


def check_settled(verdict: Verdict, demands: Criteria, calm: SettlingTimes, now_ns: int) -> Verdict:
    """Return the verdict, or one that waits while the series may still be arriving.

    The clock of the datastore may differ from ours, and copies may keep old times: so the files
    must be unchanged for as long by our own clock too, since an earlier scan. Times in the future
    are ignored.
    """
    if verdict.readiness is Readiness.IGNORED:
        return verdict
    if demands.quiet_seconds > 0:
        ages = [now_ns - calm.since_ns, *(a for a in [now_ns - calm.newest_ns] if a >= 0)]
        if min(ages) < demands.quiet_seconds * 1e9:
            ago = f"{demands.quiet_seconds / 60:g} min ago (scan.quiet_minutes)"
            return waiting(ARRIVING, f"still arriving: a file was added or changed less than {ago}")
    if 0 < demands.min_age_seconds * 1e9 > now_ns - calm.first_ns:
        ago = f"{demands.min_age_seconds / 60:g} min ago (scan.min_age_minutes)"
        return waiting("too-young", f"arrived less than {ago}")
    return verdict


class PullProgress(NamedTuple):
    """How much of a series has come from an archive."""

    expected: int  # instances that the archive has named
    missing: int  # of them, in the datastore
    is_whole: bool  # the archive was asked again after the last one, and has no more
    is_unrecorded: bool = False  # a pull wrote it, but what the archive has named is not known


def check_pulled(verdict: Verdict, progress: PullProgress) -> Verdict:
    """Return the verdict, or one that waits while an archive has, or may have, more of a series."""
    missing, expected = progress.missing, progress.expected
    if progress.is_unrecorded and verdict.readiness is not Readiness.IGNORED:
        return waiting(PULLING, _UNRECORDED_TEXT)
    is_complete = progress.is_whole and not missing
    if is_complete or not expected or verdict.readiness is Readiness.IGNORED:
        return verdict
    if missing:
        text = f"being pulled: {missing:,} of {expected:,} images of the archive are not here yet"
        return waiting(PULLING, text)
    text = f"being pulled: the archive has not confirmed yet that {expected:,} images are all"
    return waiting(PULLING, text)


def _unwanted(scans: Sequence[Slice], demands: Criteria, *, refused_too: bool) -> Verdict | None:
    """Return the criterion of the site that a series does not meet, or None."""
    count, newest = sum(s.count for s in scans), max(s.study_date for s in scans)
    classes = demands.sop_classes
    for speaks, code, text in (
        (demands.modalities.isdisjoint(s.modality for s in scans), "modality", _MODALITY_TEXT),
        (
            classes and classes.isdisjoint(s.sop_class for s in scans),
            "sop-class",
            _CLASS_TEXT,
        ),
        (demands.studied_after and not newest, "no-study-date", _DATE_TEXT),
        (newest < demands.studied_after, "too-old", "studied before scan.studied_after"),
        (_is_localizer(scans, count), "localizer", "a localizer, by its few slices or its name"),
        (
            count < demands.min_slices and not refused_too,
            "few-slices",
            "fewer slices than scan.min_slices",
        ),
        (sum(s.size for s in scans) > demands.largest_bytes, "over-size", _SIZE_TEXT),
    ):
        if speaks:
            return ignored(code, text)
    return None


def _is_localizer(scans: Sequence[Slice], count: int) -> bool:
    """Return whether a series is a localizer without that Image Type.

    A description alone is not enough: many slices of one orientation are a scan.
    """
    if any(slice_.frames is not None for slice_ in scans):
        return False
    named = 2 * sum(slice_.called_scout for slice_ in scans) > len(scans)
    few = count <= _MOST_SCOUTS
    return (named or few) and (
        (named and few) or not one_orientation([p for slice_ in scans for p in slice_.planes])
    )


def _mixed(slices: Sequence[Slice]) -> Verdict | None:
    """Return why the files cannot be one series of one patient, or None."""
    frames = {s.frame_of_reference for s in slices}
    for code, problem, values in (
        ("mixed-patients", "more than one patient", _patients(slices)),
        ("mixed-studies", "more than one study", {s.study_uid for s in slices}),
        ("mixed-kinds", "more than one SOP class", {s.sop_class for s in slices}),
        ("mixed-kinds", "more than one modality", {s.modality for s in slices}),
        ("mixed-frames", "more than one frame of reference", frames - {""}),
        ("mixed-shapes", "slices of different rows or columns", {s.shape for s in slices}),
    ):
        if len(values) > 1:
            return waiting(code, f"{problem} in one series")
    no_uid = sum(slice_kind(s).readiness is Readiness.IGNORED for s in slices)
    if no_uid:
        return waiting("mixed-kinds", f"{no_uid} of {len(slices)} images have no UIDs")
    short = sum(s.pixels_missing != 0 for s in slices)
    if short:
        return waiting("truncated", f"{short} of {len(slices)} files end before their pixels do")
    repeated = len(slices) - len({s.sop_uid for s in slices})
    if repeated:
        text = "repeat the SOP Instance UID of another, and differ in header or pixels"
        return waiting("duplicates", f"{repeated} files {text}")
    return None


def _patients(slices: Iterable[Slice]) -> set[tuple[str, ...]]:
    """Return the patients of files: Patient ID, and the other identifying values.

    For one Patient ID, empty values and other spellings of the same name are no difference.
    """
    patients = {(s.person[0], *map(_plain_name, s.person[1:])) for s in slices}
    ids: set[tuple[str, ...]] = {patient[:1] for patient in patients}
    if len(ids) > 1 or ids == {("",)}:
        return patients
    columns = ({patient[index] for patient in patients} - {""} for index in (1, 2, 3))
    return patients if any(len(values) > 1 for values in columns) else ids


def _plain_name(text: str) -> str:
    """Return a PN in lower case without empty components and groups at its end.

    >>> _plain_name("Muster^Maria^^^"), _plain_name("MUSTER^MARIA =")
    ('muster^maria', 'muster^maria')
    """
    groups = ["^".join(map(str.strip, group.split("^"))).rstrip("^") for group in text.split("=")]
    return "=".join(groups).rstrip("=").lower()


def _are_numbered(slices: Sequence[Slice]) -> bool:
    """Return whether the Instance Numbers, or the frames of a single file, are consecutive."""
    if len(slices) == 1:
        return slices[0].frames is not None
    numbers = {s.number for s in slices if s.number is not None}
    return len(numbers) == len(slices) == max(numbers) - min(numbers) + 1


def _image_types(slices: Sequence[Slice]) -> Verdict | None:
    """Return a reason if the slices have different Image Types, or None.

    For MR the signal component or computed map, in any value from the third on; otherwise the third
    value (PS3.3 C.7.6.1.1.2, C.8.3.1.1.1).
    """
    kinds: set[frozenset[str]] = set()
    for slice_ in slices:
        if slice_.modality == "MR":
            values = frozenset(_OF_MR.get(value, "") for value in slice_.image_type[2:])
        else:
            values = frozenset(slice_.image_type[2:3])
        if named := values - {""}:
            kinds.add(named)
    if len(kinds) > 1:
        return waiting("mixed-image-types", _TYPES_TEXT)
    return None


def _frames(slices: Sequence[Slice]) -> Verdict | None:
    """Return why multi-frame images are not one complete volume, or None."""
    described = [(s.count, len(s.frames.planes)) for s in slices if s.frames is not None]
    for count, groups in described:
        if count != groups:
            text = f"{count} frames declared, functional groups for {groups}"
            return waiting("frames-missing", text)
    return refused("several-multiframe", _SEVERAL_TEXT) if len(described) > 1 else None
