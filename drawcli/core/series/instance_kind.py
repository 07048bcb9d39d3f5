"""Whether a file is a slice of a scan, from its header alone."""

import re
from collections.abc import Iterator
from typing import Final

from drawcli.core.deid.pseudonyms import is_registered
from drawcli.core.deid.table_single_frame import SYNTAXES
from drawcli.core.dicom.instance import Slice
from drawcli.core.dicom.sop_classes import IMAGE_CLASSES
from drawcli.core.series.verdict import Readiness, Verdict, ignored, refused

SAFE_SYNTAXES: Final = frozenset(SYNTAXES)
_MR_COLOUR: Final = "1.2.840.10008.5.1.4.1.1.4.3"
_MR_SPECTROSCOPY: Final = "1.2.840.10008.5.1.4.1.1.4.2"
_COLOUR_TEXT: Final = "pixels in colour: a picture of a scan, not a scan"
_SPECTRA_TEXT: Final = "MR spectroscopy: spectra, not slices"
_PART_TEXT: Final = "a part of a concatenation: split images are not supported"
_SINGLE_TEXT: Final = "several frames in a file of a single-frame SOP class"
_FRAMES_TEXT: Final = "some frames are a localizer, screen save or dose page"
_CLASS_TEXT: Final = "an SOP class that is not in the standard: maybe a damaged image"
_EXTRA_TEXT: Final = "the pixel data are longer than the image"
_OVERLAY_TEXT: Final = "an overlay is hidden in unused bits of the pixels"

_OF_DICOM: Final = "1.2.840.10008."
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)+")
_NOT_SCANS: Final = frozenset({"LOCALIZER", "SCOUT", "SCREEN SAVE", "DOSE_INFO"})


def slice_kind(one: Slice) -> Verdict:
    """Return whether a file is a slice of a scan, or the first reason against it."""
    image = one.sop_class in IMAGE_CLASSES
    no_scan = not _NOT_SCANS.isdisjoint(one.image_type)
    nameless = not (one.series_uid and one.study_uid and one.sop_uid)
    against = (
        (one.sop_class == _MR_COLOUR, refused("colour", _COLOUR_TEXT)),
        (one.sop_class == _MR_SPECTROSCOPY, refused("spectroscopy", _SPECTRA_TEXT)),
        (not image and _is_garbled(one.sop_class), ignored("unknown-class", _CLASS_TEXT)),
        (not image, ignored("not-an-image", "not a CT, MR or PET image")),
        (no_scan, ignored("localizer", "a localizer, screen save or dose page")),
        (nameless, ignored("no-uid", "an image without its UIDs")),
        (one.frames is None and one.frames_named > 1, refused("frames-in-single", _SINGLE_TEXT)),
        (one.burned_in, refused("burned-in", "the header says that pixels hold annotations")),
        (one.pixels_extra > 0, refused("extra-pixels", _EXTRA_TEXT)),
        (one.overlay_in_pixels, refused("overlay-in-pixels", _OVERLAY_TEXT)),
        (one.samples != 1, refused("colour", _COLOUR_TEXT)),
        *_against_frames(one),
        (one.transfer_syntax not in SAFE_SYNTAXES, _unsafe(one.transfer_syntax)),
    )
    return next((verdict for speaks, verdict in against if speaks), Verdict(Readiness.READY))


def _is_garbled(sop_class: str) -> bool:
    """Return whether an SOP class is neither standard nor private: maybe a damaged slice."""
    if sop_class.startswith(_OF_DICOM):
        return not is_registered(sop_class)
    return bool(sop_class) and not _UID.fullmatch(sop_class)


def _unsafe(syntax: str) -> Verdict:
    """Return the verdict on a transfer syntax that is not accepted, with its name."""
    if syntax in SAFE_SYNTAXES or not is_registered(syntax):
        return refused("compressed", "a private transfer syntax is not supported")
    from pydicom.uid import UID

    return refused("compressed", f"{UID(syntax).name} ({syntax}) is not supported")


def _against_frames(one: Slice) -> Iterator[tuple[bool, Verdict]]:
    """Yield the possible reasons against a multi-frame image."""
    frames = one.frames
    if frames is not None:
        yield frames.coloured, refused("colour", _COLOUR_TEXT)
        yield frames.concatenated, refused("concatenation", _PART_TEXT)
        yield not _NOT_SCANS.isdisjoint(frames.kinds), refused("localizer-frames", _FRAMES_TEXT)
