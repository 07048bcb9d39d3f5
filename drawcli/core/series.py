"""Is a series whole, settled and of a kind that is sent? Told from headers alone.

Sending half a scan for contouring is a patient-safety fault, so a series is ready only when nothing
speaks against it. What may still mend itself waits with a reason; what is not for us is ignored.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from math import dist
from statistics import median
from typing import Final

from drawcli.core.frames import Plane, Triple
from drawcli.core.policy_tables import SYNTAXES
from drawcli.core.profile import IMAGE_CLASSES
from drawcli.core.pseudonym import is_registered
from drawcli.core.slices import Slice

SAFE_SYNTAXES: Final = frozenset(SYNTAXES)
LARGEST_STEP: Final = 1.5  # a distance this many times the usual one means a missing slice
SAME_PLACE_MM: Final = 0.01
STRAIGHT_MM: Final = 0.5  # less than a pixel; rounding of positions stays far below
ALIGNED: Final = 1e-3  # how far two direction cosines, or pixel spacings in mm, may differ
_MR_COLOUR: Final = "1.2.840.10008.5.1.4.1.1.4.3"
_MR_SPECTROSCOPY: Final = "1.2.840.10008.5.1.4.1.1.4.2"
_COLOUR_TEXT: Final = "pixels in colour: a picture of a scan, not a scan"
_SPECTRA_TEXT: Final = "MR spectroscopy: spectra are no slices"
_PART_TEXT: Final = "a part of a concatenation: images that were cut in parts are not supported"
_SEVERAL_TEXT: Final = "more than one multi-frame image in the series: one cannot be chosen"
_FRAMES_TEXT: Final = "some frames are a localizer, screen save or dose page"
_EXTRA_TEXT: Final = "the pixel data are longer than the image"
_OVERLAY_TEXT: Final = "an overlay is hidden in unused bits of the pixels"

_NOT_SCANS: Final = frozenset({"LOCALIZER", "SCOUT", "SCREEN SAVE", "DOSE_INFO"})


class Readiness(StrEnum):
    """What a scan does with a series."""

    READY = "ready"
    WAITING = "waiting"  # may still mend itself
    REFUSED = "refused"  # an image series that a person must look at
    IGNORED = "ignored"  # not for us


@dataclass(frozen=True, slots=True)
class Verdict:
    """A readiness with its reason: a stable code and one sentence without patient values."""

    readiness: Readiness
    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What a site asks of a series."""

    modalities: frozenset[str]
    min_slices: int
    quiet_seconds: float
    studied_after: str = ""  # yyyymmdd; "" takes every study


def slice_kind(one: Slice) -> Verdict:
    """Tell whether a file is a slice of a scan at all; the first that speaks against it is told."""
    known = is_registered(one.transfer_syntax)
    syntax = f"{one.transfer_syntax if known else 'a private transfer syntax'} is not supported"
    image = one.sop_class in IMAGE_CLASSES
    no_scan = not _NOT_SCANS.isdisjoint(one.image_type)
    nameless = not (one.series_uid and one.study_uid and one.sop_uid)
    against = (
        (one.sop_class == _MR_COLOUR, _refused("colour", _COLOUR_TEXT)),
        (one.sop_class == _MR_SPECTROSCOPY, _refused("spectroscopy", _SPECTRA_TEXT)),
        (not image, _ignored("not-an-image", "not a CT, MR or PET image")),
        (no_scan, _ignored("localizer", "a localizer, screen save or dose page")),
        (nameless, _ignored("no-uid", "an image without its UIDs")),
        (one.burned_in, _refused("burned-in", "the header says that pixels hold annotations")),
        (one.pixels_extra > 0, _refused("extra-pixels", _EXTRA_TEXT)),
        (one.overlay_in_pixels, _refused("overlay-in-pixels", _OVERLAY_TEXT)),
        (one.samples != 1, _refused("colour", _COLOUR_TEXT)),
        *_against_frames(one),
        (one.transfer_syntax not in SAFE_SYNTAXES, _refused("compressed", syntax)),
    )
    return next((verdict for speaks, verdict in against if speaks), Verdict(Readiness.READY))


def _against_frames(one: Slice) -> Iterator[tuple[bool, Verdict]]:
    """Yield what may speak against a multi-frame image."""
    frames = one.frames
    if frames is not None:
        yield frames.coloured, _refused("colour", _COLOUR_TEXT)
        yield frames.concatenated, _refused("concatenation", _PART_TEXT)
        yield not _NOT_SCANS.isdisjoint(frames.kinds), _refused("localizer-frames", _FRAMES_TEXT)


def assess(slices: Sequence[Slice], demands: Demands, *, now_ns: int) -> Verdict:
    """Tell what to do with a series, given every file of it that could be read.

    The first reason found is told: kind, then settledness, then one thing after the other that a
    whole series must fulfil.
    """
    kinds = [slice_kind(one) for one in slices]
    if all(kind.readiness is Readiness.IGNORED for kind in kinds):
        return kinds[0]
    scans = scan_slices(slices)
    first = scans[0]
    refused = next((kind for kind in kinds if kind.readiness is Readiness.REFUSED), None)
    if first.modality not in demands.modalities:
        return _ignored("modality", "a modality that scan.modalities does not list")
    if demands.studied_after and first.study_date < demands.studied_after:
        return _ignored("too-old", "studied before scan.studied_after")
    if sum(one.count for one in scans) < demands.min_slices and refused is None:
        return _ignored("few-slices", "fewer slices than scan.min_slices")
    quiet = (now_ns - max(one.mtime_ns for one in slices)) / 1e9
    if 0 < demands.quiet_seconds > quiet:  # 0 switches it off, also if the clocks differ
        return _waiting("arriving", "still arriving: a file changed less than quiet_minutes ago")
    return refused or _mixed(scans) or _frames(scans) or _geometry(scans)


def scan_slices(slices: Iterable[Slice]) -> list[Slice]:
    """Return the files of a series without the localizers that some scanners put into it."""
    return [one for one in slices if slice_kind(one).code != "localizer"]


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
            return _waiting(code, f"{what} in one series")
    if any(slice_kind(one).readiness is Readiness.IGNORED for one in slices):
        return _waiting("mixed-kinds", "files in the series that are no slices")
    short = sum(one.pixels_missing != 0 for one in slices)
    if short:
        return _waiting("truncated", f"{short} of {len(slices)} files end before their pixels do")
    twice = sum(count - 1 for count in Counter(one.sop_uid for one in slices).values())
    if twice:
        return _waiting("duplicates", f"{twice} files repeat the SOP Instance UID of another")
    return None


def _frames(slices: Sequence[Slice]) -> Verdict | None:
    """Return why multi-frame images are not one whole volume, or None."""
    described = [(one.count, len(one.frames.planes)) for one in slices if one.frames is not None]
    for count, groups in described:
        if count != groups:
            text = f"{count} frames announced, functional groups for {groups}"
            return _waiting("frames-missing", text)
    return _refused("several-multiframe", _SEVERAL_TEXT) if len(described) > 1 else None


def _geometry(slices: Sequence[Slice]) -> Verdict:
    """Return what slices, or frames, say of a gapless stack of parallel planes."""
    planes = [plane for one in slices for plane in one.planes]
    return _planes(planes) or _stack(planes) or Verdict(Readiness.READY)


def _planes(slices: Sequence[Plane]) -> Verdict | None:
    """Return why the slices are no parallel planes with the same grid, or None."""
    if any(None in (one.position, one.orientation, one.spacing) for one in slices):
        return _waiting("no-geometry", "slices without position, orientation or pixel spacing")
    if not _all_near([one.orientation or () for one in slices]):
        return _waiting("mixed-orientations", "more than one orientation in one series")
    if not _all_near([one.spacing or () for one in slices]):
        return _waiting("mixed-spacings", "more than one pixel spacing in one series")
    return None


def _stack(slices: Sequence[Plane]) -> Verdict | None:
    """Return why parallel planes are no gapless stack, or None."""
    first = slices[0].orientation or ()
    offsets = sorted(offsets_mm((one.position for one in slices if one.position), first))
    steps = [upper - lower for lower, upper in pairwise(offsets)]
    if not steps:
        return None
    if min(steps) < SAME_PLACE_MM:
        return _waiting("same-position", "two slices lie at the same position")
    usual = median(steps)
    gaps = [
        (low, step)
        for low, step in zip(offsets, steps, strict=False)
        if step > LARGEST_STEP * usual
    ]
    if gaps:
        missing = sum(round(step / usual) - 1 for _, step in gaps)
        text = (
            f"missing slices: {len(slices) + missing} expected, {len(slices)} present, "
            f"gap at {gaps[0][0] + usual:.1f} mm"
        )
        return _waiting("missing-slices", text)
    if _largest_drift_mm(slices, first) > STRAIGHT_MM:
        return _waiting("crooked", "slices do not lie one straight behind the other")
    return None


def _largest_drift_mm(slices: Sequence[Plane], orientation: Sequence[float]) -> float:
    """Return how far a slice lies beside the straight line from the first slice to the last, mm.

    The line need not be along the normal: the slices of a tilted gantry are sheared.
    """
    positions = [one.position for one in slices if one.position]
    placed = sorted(zip(offsets_mm(positions, orientation), positions, strict=True))
    (start, begin), (stop, finish) = placed[0], placed[-1]
    along = [(b - a) / (stop - start) for a, b in zip(begin, finish, strict=True)]
    return max(
        dist(place, [a + step * (offset - start) for a, step in zip(begin, along, strict=True)])
        for offset, place in placed
    )


def _all_near(many: Sequence[Sequence[float]]) -> bool:
    """Tell whether direction cosines, or pixel spacings in mm, are the same but for rounding."""
    first = many[0]
    return all(abs(a - b) <= ALIGNED for one in many for a, b in zip(first, one, strict=True))


def offsets_mm(positions: Iterable[Triple], orientation: Sequence[float]) -> list[float]:
    """Return how far each slice lies along the normal of the slices, in mm.

    Parameters
    ----------
    positions
        *Image Position (Patient)* (0020,0032) of each slice, mm, LPS.
    orientation
        *Image Orientation (Patient)* (0020,0037), six direction cosines.

    References
    ----------
    PS3.3 C.7.6.2.1.1 (the normal is row x column). *Slice Thickness* is not used: it is nominal.

    Examples
    --------
    >>> offsets_mm([(0, 0, 0), (5, 5, -9)], (1, 0, 0, 0, 1, 0))
    [0.0, -9.0]
    """
    rx, ry, rz, cx, cy, cz = orientation
    normal = (ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx)
    return [
        sum(p * n for p, n in zip(position, normal, strict=True)) * 1.0 for position in positions
    ]


def _waiting(code: str, text: str) -> Verdict:
    return Verdict(Readiness.WAITING, code, text)


def _refused(code: str, text: str) -> Verdict:
    return Verdict(Readiness.REFUSED, code, text)


def _ignored(code: str, text: str) -> Verdict:
    return Verdict(Readiness.IGNORED, code, text)
