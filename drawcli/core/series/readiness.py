"""Does a series hold what a site asks for, whole and settled? Decided from headers alone.

Sending half a scan for contouring is a patient-safety fault, so a series is ready only when nothing
speaks against it. What may still mend itself waits with a reason; what is not for us is ignored.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

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
SETTLING: Final = frozenset({"arriving", "too-young"})  # what is over by itself
_DATE_TEXT: Final = "without a study date, and scan.studied_after asks for one"
_MODALITY_TEXT: Final = "a modality that scan.modalities does not list"
_CLASS_TEXT: Final = "an SOP class that scan.sop_classes does not list"
_SIZE_TEXT: Final = "larger than scan.max_series_gib"
_TYPES_TEXT: Final = (
    "images of different kinds in one series, by Image Type: such as magnitude and phase"
)
# Words of Image Type that tell images of one MR acquisition apart, by what they mean.
_OF_MR: Final = (
    {"M": "M", "MAGNITUDE": "M", "M_FFE": "M", "M_SE": "M", "M_IR": "M"}
    | {"P": "P", "PHASE": "P", "PHASE MAP": "P", "R": "R", "REAL": "R"}
    | {"I": "I", "IMAGINARY": "I", "WATER": "W", "W": "W", "FAT": "F", "F": "F"}
    | dict.fromkeys(("IN_PHASE", "IP"), "IP")
    | dict.fromkeys(("OUT_PHASE", "OPP_PHASE", "OP"), "OP")
    | {word: word for word in ("ADC", "FA", "TRACEW", "VELOCITY", "MIP", "SUB")}
)
_SEVERAL_TEXT: Final = "more than one multi-frame image in the series: one cannot be chosen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
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


def assess(
    slices: Sequence[Slice], demands: Criteria, released: frozenset[str] = frozenset()
) -> Verdict:
    """Tell what to do with a series once it is settled, given every file of it that was read.

    The first reason found is told: kind, what the site asks for, then one thing after the other
    that a whole series must fulfil. It does not depend on the order of the files.

    Parameters
    ----------
    slices
        The files, those that are no slices among them.
    demands
        What the site asks for.
    released
        What a person lets pass: codes of what speaks against just these files.
    """
    scans = scan_slices(slices) or slices
    kinds = [slice_kind(one) for one in scans]
    if all(kind.readiness is Readiness.IGNORED for kind in kinds):
        nameless = (refused(one.code, one.text) for one in kinds if one.code == "no-uid")
        return next(nameless, _most_common(kinds))  # a whole scan may lack its UIDs
    told = [kind for kind in kinds if kind.readiness is Readiness.REFUSED]
    unwanted = _unwanted(scans, demands, refused_too=bool(told))
    if unwanted or told:
        return unwanted or _most_common(told)
    against = (one for one in _against(scans, demands) if one and one.code not in released)
    return next(against, Verdict(Readiness.READY))


def _most_common(kinds: Iterable[Verdict]) -> Verdict:
    counts = Counter(kinds)
    return min(counts, key=lambda kind: (-counts[kind], kind.code, kind.text))


def _against(scans: Sequence[Slice], demands: Criteria) -> Iterator[Verdict | None]:
    """Yield what may speak against slices of a kind that is sent, one after the other."""
    yield _mixed(scans)
    yield _frames(scans)
    planes = [plane for one in scans for plane in one.planes]
    against = not_planes(planes) or not_together(planes)
    if against:  # all that follows asks where each slice lies
        yield against
        return
    yield not_gapless(planes, demands.largest_step, numbered=_are_numbered(scans))
    yield not_straight(planes)
    yield _image_types(scans)


def settled(verdict: Verdict, demands: Criteria, calm: Calm, now_ns: int) -> Verdict:
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


def _unwanted(scans: Sequence[Slice], demands: Criteria, *, refused_too: bool) -> Verdict | None:
    """Return why a site does not want a series, none of its files, or None."""
    count, newest = sum(one.count for one in scans), max(one.study_date for one in scans)
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
    named = 2 * sum(one.called_scout for one in scans) > len(scans)
    few = count <= _MOST_SCOUTS
    return (named or few) and (
        (named and few) or not one_orientation([plane for one in scans for plane in one.planes])
    )


def _mixed(slices: Sequence[Slice]) -> Verdict | None:
    """Return why the files cannot be one series of one patient, or None."""
    frames = {one.frame_of_reference for one in slices}
    for code, what, values in (
        ("mixed-patients", "more than one patient", _persons(slices)),
        ("mixed-studies", "more than one study", {one.study_uid for one in slices}),
        ("mixed-kinds", "more than one SOP class", {one.sop_class for one in slices}),
        ("mixed-kinds", "more than one modality", {one.modality for one in slices}),
        ("mixed-frames", "more than one frame of reference", frames - {""}),
        ("mixed-shapes", "slices of different rows or columns", {one.shape for one in slices}),
    ):
        if len(values) > 1:
            return waiting(code, f"{what} in one series")
    nameless = sum(slice_kind(one).readiness is Readiness.IGNORED for one in slices)
    if nameless:
        return waiting("mixed-kinds", f"{nameless} of {len(slices)} images are without their UIDs")
    short = sum(one.pixels_missing != 0 for one in slices)
    if short:
        return waiting("truncated", f"{short} of {len(slices)} files end before their pixels do")
    twice = len(slices) - len({one.sop_uid for one in slices})
    if twice:
        text = "repeat the SOP Instance UID of another, and differ in header or pixels"
        return waiting("duplicates", f"{twice} files {text}")
    return None


def _persons(slices: Iterable[Slice]) -> set[tuple[str, ...]]:
    """Return the persons that files are of, by what tells whose a series is.

    Of one Patient ID, what is left empty in some files contradicts nothing, nor does another
    spelling of the same name.
    """
    persons = {(one.person[0], *map(_plain_name, one.person[1:])) for one in slices}
    same: set[tuple[str, ...]] = {one[:1] for one in persons}
    if len(same) > 1 or same == {("",)}:
        return persons
    told = ({one[which] for one in persons} - {""} for which in (1, 2, 3))
    return persons if any(len(values) > 1 for values in told) else same


def _plain_name(text: str) -> str:
    """Return a PN without what may be left out: empty components and groups at its end.

    >>> _plain_name("Muster^Maria^^^"), _plain_name("MUSTER^MARIA =")
    ('muster^maria', 'muster^maria')
    """
    groups = ["^".join(map(str.strip, one.split("^"))).rstrip("^") for one in text.split("=")]
    return "=".join(groups).rstrip("=").lower()


def _are_numbered(slices: Sequence[Slice]) -> bool:
    """Tell whether Instance Numbers, or the frames of the one file, leave no slice out."""
    if len(slices) == 1:
        return slices[0].frames is not None
    numbers = {one.number for one in slices if one.number is not None}
    return len(numbers) == len(slices) == max(numbers) - min(numbers) + 1


def _image_types(slices: Sequence[Slice]) -> Verdict | None:
    """Return that slices are images of different kinds, by their Image Type, or None.

    Of MR the part of the signal and the map that was computed, wherever they stand; else the third
    value (PS3.3 C.7.6.1.1.2, C.8.3.1.1.1).
    """
    kinds: set[frozenset[str]] = set()
    for one in slices:
        if one.modality == "MR":
            words = frozenset(_OF_MR.get(word, "") for word in one.image_type[2:])
        else:
            words = frozenset(one.image_type[2:3])
        if named := words - {""}:
            kinds.add(named)
    if len(kinds) > 1:
        return waiting("mixed-image-types", _TYPES_TEXT)
    return None


def _frames(slices: Sequence[Slice]) -> Verdict | None:
    """Return why multi-frame images are not one whole volume, or None."""
    described = [(one.count, len(one.frames.planes)) for one in slices if one.frames is not None]
    for count, groups in described:
        if count != groups:
            text = f"{count} frames announced, functional groups for {groups}"
            return waiting("frames-missing", text)
    return refused("several-multiframe", _SEVERAL_TEXT) if len(described) > 1 else None
