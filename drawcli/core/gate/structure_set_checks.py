"""Checks of a structure set against what is expected: origin, images, structures."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from drawcli.core.gate.acceptance import STRUCTURE_SET, Expected, Finding, Severity, StructureSet

_LONGEST_NAME: Final = 32  # characters of a name in a sentence


def inspect(found: StructureSet, expected: Expected) -> list[Finding]:
    """Return all findings on a structure set."""
    if not found.sop_class:
        return [Finding(Severity.BLOCK, "no-structure-set", "SOPClassUID is missing")]
    if found.sop_class != STRUCTURE_SET or found.has_pixels:
        return [Finding(Severity.BLOCK, "no-structure-set", "the file is not an RT Structure Set")]
    return [
        *check_origin(found, expected),
        *_structures(found, expected),
        *_contents(found),
    ]


def check_origin(found: StructureSet, expected: Expected) -> Iterator[Finding]:
    """Yield findings on the patient, study, series and package of the file."""
    persons = {expected.patient_id, expected.patient_name, ""}
    if expected.patient_id is not None:
        if found.patient_id != expected.patient_id:
            state = "not the one that was sent" if found.patient_id else "missing"
            yield _block("foreign-patient", f"PatientID is {state}")
        elif found.patient_name.rstrip("^") not in persons:
            yield _block("foreign-patient", "PatientName is not the one that was sent")
    if found.persons - persons:
        yield _block("foreign-patient", "an item names another patient")
    yield from _of_study(found, expected)
    yield from _of_package(found, expected)
    yield from _of_series(found, expected)
    if found.frames - {expected.frame_uid}:
        yield _block("foreign-frame", "a frame of reference is not that of the images")
    own = {found.sop_uid, found.series_uid}
    if (expected.own and own != expected.own) or own & expected.known:
        yield _block("own-uid", "the SOP or series instance UID of the file is not its own")
    yield from _images(found, expected)


def _of_study(found: StructureSet, expected: Expected) -> Iterator[Finding]:
    """Yield findings on the study."""
    if not found.study_uid:
        yield _block("foreign-study", "StudyInstanceUID is missing")
    elif found.study_uid != expected.study_uid or found.studies - {expected.study_uid}:
        yield _block("foreign-study", "the study is not the one that was sent")


def _of_package(found: StructureSet, expected: Expected) -> Iterator[Finding]:
    """Yield findings on the package that the structure set was made from."""
    if not expected.study_id or found.study_id == expected.study_id:
        return
    if found.study_id:
        text = (
            "StudyID is not the one that was sent: the structure set was made from another "
            "package, for another template or before the images changed"
        )
        yield _block("foreign-package", text)
    else:
        yield _block("package-unknown", "StudyID, which identifies the package, is missing")


def _of_series(found: StructureSet, expected: Expected) -> Iterator[Finding]:
    """Yield findings on the referenced series."""
    if found.referenced_series - {expected.series_uid}:
        yield _block("foreign-series", "the referenced series is not the one that was sent")
    elif not found.referenced_series and not found.contour_images:
        yield _block("no-reference", "neither the file nor its contours reference the series")


def _images(found: StructureSet, expected: Expected) -> Iterator[Finding]:
    """Yield findings on the referenced images and frames."""
    named = {uid for uid, _ in found.contour_images | found.images}
    if "" in named:
        yield _block("foreign-reference", "a reference to an image has no ReferencedSOPInstanceUID")
    foreign = named - expected.known - {""}
    if foreign:
        yield _block("foreign-reference", f"references outside this job: {len(foreign)}")
    elsewhere = named - expected.images.keys() - foreign - {""}
    if elsewhere:
        yield _block("foreign-image", f"references to images outside the series: {len(elsewhere)}")
    counts = ((expected.images.get(uid), number) for uid, number in found.contour_images)
    beyond = sum(count is not None and not 1 <= number <= count for count, number in counts)
    if beyond:
        yield _block("foreign-frame-number", f"{beyond} references name frames that do not exist")
    if expected.image_class and found.image_classes - {expected.image_class}:
        yield _block("foreign-class", "the images are referenced with another SOP class")


def _structures(found: StructureSet, expected: Expected) -> Iterator[Finding]:
    """Yield the differences from the requested structures."""
    names = Counter(roi.name for roi in found.rois)
    required = expected.required
    missing = [name for name in expected.structures if name not in names]
    extra = sorted(names.keys() - set(expected.structures) - expected.empty)
    twice = sorted(name for name, count in names.items() if count > 1)
    for severity, names_ in _by_severity(missing, [n for n in missing if required.get(n, True)]):
        yield Finding(severity, "structures-missing", f"missing: {', '.join(names_)}")
    if extra:
        yield _block("structures-extra", f"not requested: {_listed_names(extra)}")
    if twice:
        yield _block("structures-twice", f"more than once: {_listed_names(twice)}")
    yield from _numbers(found)
    yield from _placeholders(found, expected)
    empty = [roi.name for roi in found.rois if not roi.contours and roi.name in expected.structures]
    if empty and len(empty) == len(expected.structures):
        yield _block("all-empty", "no structure has a contour")
        return
    for severity, names_ in _by_severity(empty, [n for n in empty if required.get(n, False)]):
        yield Finding(severity, "structures-empty", f"without contours: {', '.join(names_)}")


def _placeholders(found: StructureSet, expected: Expected) -> Iterator[Finding]:
    """Yield findings on the structures that must be listed, and have no contours."""
    lost = sorted(expected.empty - {roi.name for roi in found.rois})
    filled = [roi.name for roi in found.rois if roi.contours and roi.name in expected.empty]
    if lost:
        yield _block("not-conformant", f"empty structures missing: {_listed_names(lost)}")
    if filled:
        text = f"contours in structures that must be empty: {_listed_names(filled)}"
        yield _block("not-conformant", text)


def _numbers(found: StructureSet) -> Iterator[Finding]:
    """Yield findings on ROI numbers: each contour must belong to exactly one structure."""
    numbers = Counter(roi.number for roi in found.rois)
    contoured = Counter(found.contoured)
    twice = [*_repeated(numbers), *_repeated(contoured)]
    unknown = sorted((contoured.keys() | set(found.observed)) - numbers.keys())
    if twice:
        text = f"ROI numbers used for two structures or lists of contours: {_listed(twice)}"
        yield _block("roi-numbers", text)
    if unknown:
        text = f"contours or observations of ROI numbers without a structure: {_listed(unknown)}"
        yield _block("roi-numbers", text)


def _contents(found: StructureSet) -> Iterator[Finding]:
    """Yield findings on other contents: elements not delivered, colours, long values."""
    if found.moving:
        text = f"elements that move the contours: {_listed_names(sorted(found.moving))}"
        yield _block("contours-moved", text)
    if found.unlisted:
        text = f"elements that are not delivered: {_listed_names(sorted(found.unlisted))}"
        yield Finding(Severity.WARN, "elements-removed", text)
    if found.invalid_colors:
        names = [roi.name for roi in found.rois if roi.number in found.invalid_colors]
        text = f"colours that are not three integers from 0 to 255: {_listed_names(names)}"
        yield Finding(Severity.WARN, "color-invalid", text)
    if found.too_long:
        text = f"longer than planning systems accept: {', '.join(sorted(found.too_long)[:8])}"
        yield Finding(Severity.WARN, "value-too-long", text)


def _by_severity(names: list[str], needed: list[str]) -> Iterator[tuple[Severity, list[str]]]:
    """Yield the needed names, which are fetched again, and the others, which are reported."""
    if needed:
        yield Severity.AGAIN, needed
    if others := [name for name in names if name not in needed]:
        yield Severity.WARN, others


def _repeated(counts: Counter[int]) -> list[int]:
    return [number for number, count in counts.items() if count > 1]


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, sorted(set(numbers))[:8]))


def _listed_names(names: Sequence[str]) -> str:
    r"""Return at most eight names from the server, shortened, unprintable characters escaped."""
    printable = ("".join(c if c.isprintable() else ascii(c)[1:-1] for c in n) for n in names[:8])
    return ", ".join(name[:_LONGEST_NAME] or "(no name)" for name in printable)


def _block(code: str, text: str) -> Finding:
    return Finding(Severity.BLOCK, code, text)
