"""Apply the acceptance gate to a file: as received, finished before delivery, and delivered.

The bytes are always read by `strict_reader`, never by the code that writes the delivered file.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from drawcli.core.dicom import tags
from drawcli.core.gate.acceptance import Expected, Finding, Severity, StructureSet
from drawcli.core.gate.contour_places import FoundContours
from drawcli.core.gate.rtstruct_table import differences
from drawcli.core.gate.strict_reader import DataSet, Malformed, decode_text, name_of
from drawcli.core.gate.structure_set import read_contours, read_structure_set
from drawcli.core.gate.structure_set_checks import check_origin, inspect
from drawcli.core.rtstruct.contour_checks import (
    apply_severities,
    inspect_contours,
)
from drawcli.core.rtstruct.contour_table import CHECKS
from drawcli.core.rtstruct.contours import in_frames
from drawcli.core.rtstruct.measured_structure import MeasuredStructure
from drawcli.core.series.crosswalk import RESTORED, Crosswalk
from drawcli.core.series.slice_grid import Grid

# The checks that apply to derived structures.
_OF_DERIVED: Final = frozenset(
    {"contour-values", "contour-type", "contour-points", "contour-off-slice", "contour-not-planar"}
)
_NO_GRID: Final = (
    "the vault has no positions of the slices; send the series again with 'drawcli assign'"
)

Severities = Mapping[str, Severity | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureCriteria:
    """The criteria of a site for structures, by their names in the file."""

    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # cm3
    severities: Severities = field(default_factory=dict)
    derived: frozenset[str] = frozenset()  # and empty: not drawn by the server
    measured: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # as received


def expect_received(
    crosswalk: Crosswalk,
    structures: Sequence[str],
    required: Mapping[str, bool] = MappingProxyType({}),
) -> Expected:
    """Return what the server must send: all UIDs are stand-ins.

    Parameters
    ----------
    crosswalk
        The crosswalk of the job.
    structures
        The names in the template that was sent.
    required
        True: must have contours. False: may be missing. Not listed: must exist, may be empty.
    """
    stand_ins = {original: stand_in for stand_in, original in crosswalk.uids.items()}
    return Expected(
        patient_id=crosswalk.pseudonym,
        patient_name=crosswalk.pseudonym.replace("-", "^", 1),
        study_uid=stand_ins.get(crosswalk.study_uid, ""),
        series_uid=stand_ins.get(crosswalk.series_uid, ""),
        frame_uid=stand_ins.get(crosswalk.frame_uid, ""),
        study_id=crosswalk.study_id,
        images=crosswalk.images_sent(),
        known=frozenset(crosswalk.uids),
        structures=tuple(structures),
        required=required,
    )


def expect_finished(
    crosswalk: Crosswalk,
    own: frozenset[str],
    structures: Sequence[str] = (),
    empty: frozenset[str] = frozenset(),
) -> Expected:
    """Return what a finished file must contain: all UIDs are the original ones.

    Parameters
    ----------
    crosswalk
        The crosswalk of the job.
    own
        The UIDs that drawcli assigns to the file and its series.
    structures
        The names in the file.
    empty
        The names of further structures, which must have no contours.
    """
    return Expected(
        patient_id=None,
        patient_name=None,
        study_uid=crosswalk.study_uid,
        series_uid=crosswalk.series_uid,
        frame_uid=crosswalk.frame_uid,
        images={file.sop_uid: file.frames for file in crosswalk.files},
        image_class=crosswalk.sop_class,
        known=frozenset(crosswalk.uids.values()),
        own=own,
        structures=tuple(structures),
        empty=empty,
        required=dict.fromkeys(structures, False),
    )


def inspect_received(
    data: bytes, expected: Expected, crosswalk: Crosswalk, wanted: StructureCriteria
) -> tuple[list[Finding], list[MeasuredStructure]]:
    """Return the findings about a received file, and its measured structures."""
    try:
        file, contours = DataSet(data), FoundContours()
        facts = read_structure_set(file, contours)
        if not facts.is_decodable:  # a finished file has the character set of the images
            raise Malformed(f"{name_of(tags.SpecificCharacterSet)} has no defined term")  # noqa: TRY301
    except Malformed as err:
        text = f"the file from the server cannot be read unambiguously: {err}"
        return [Finding(Severity.BLOCK, "not-dicom", text)], []
    found = _with_severities(inspect(facts, expected), wanted.severities)
    if any(finding.severity is not Severity.WARN for finding in found):
        return found, []
    drawn = _contours(file, contours, facts, crosswalk, originals=crosswalk.uids, wanted=wanted)
    return [*found, *drawn.found], drawn.measured


def inspect_finished(
    data: bytes, expected: Expected, crosswalk: Crosswalk, wanted: StructureCriteria
) -> list[Finding]:
    """Return the findings about a finished file before its delivery."""
    drawn = _Drawn([], [], plain=-1)
    try:
        file, contours = DataSet(data), FoundContours()
        facts = read_structure_set(file, contours)
        inspected = inspect(facts, expected)
        originals = {uid: uid for uid in expected.images}
        if not any(finding.severity is Severity.BLOCK for finding in inspected):
            drawn = _contours(file, contours, facts, crosswalk, originals=originals, wanted=wanted)
        read = drawn.plain == contours.count
        faults = [*differences(file, decimals_read=read), *_other_identity(file, crosswalk)]
    except Malformed as err:
        text = f"the finished file cannot be read unambiguously: {err}"
        return [Finding(Severity.BLOCK, "not-dicom", text)]
    found = [Finding(Severity.BLOCK, "not-conformant", fault) for fault in faults]
    found += inspected
    if any(finding.severity is Severity.BLOCK for finding in found):
        return found
    return [*found, *drawn.found, *_differing(drawn.measured, wanted.measured)]


def inspect_delivered(data: bytes, expected: Expected, crosswalk: Crosswalk) -> list[Finding]:
    """Return findings if a delivered file is not of this patient, study and series."""
    try:
        file = DataSet(data)
        facts = read_structure_set(file)
        others = [*_other_identity(file, crosswalk)]
    except Malformed as err:
        return [Finding(Severity.BLOCK, "not-dicom", f"the file cannot be read: {err}")]
    found = [Finding(Severity.BLOCK, "foreign-patient", other) for other in others]
    return [*found, *check_origin(facts, expected)]


def accept_hint(blocking: Sequence[Finding], job_id: str) -> str:
    """Return how to accept a refused structure set; "" if no setting can accept it."""
    codes = list(dict.fromkeys(finding.code for finding in blocking))
    if not codes or not CHECKS.keys() >= set(codes):
        return ""
    widen = "widen volume_cm3 of it in templates.yaml, or " if "structure-volume" in codes else ""
    weights = ", ".join(f"{code}: warn" for code in codes)
    return (
        f"View it with 'drawcli preview {job_id}'. To accept it, {widen}set "
        f"accept.checks: {{{weights}}} in drawcli.yaml, then run 'drawcli retry {job_id}'. The "
        "setting then holds for every job."
    )


def _differing(
    finished: Iterable[MeasuredStructure], received: Mapping[str, Mapping[str, Any]]
) -> Iterator[Finding]:
    """Yield a finding for each structure whose measurements differ from those of the received file.

    Reports of earlier versions without `left_mm` used another method and are not compared.
    """
    for structure in finished:
        before, now = received.get(structure.name), structure.as_plain()
        if before and "left_mm" in before and {**before, "name": structure.name} != now:
            text = f"{structure.name} is not what the server sent: contours or volume differ"
            yield Finding(Severity.BLOCK, "not-conformant", text)


def _with_severities(found: list[Finding], severities: Severities) -> list[Finding]:
    """Return findings with the severities of the site, without the checks it switched off."""
    adjusted = []
    for finding in found:
        severity = (
            severities.get(finding.code, finding.severity)
            if finding.code in CHECKS
            else finding.severity
        )
        if severity is not None:
            adjusted.append(replace(finding, severity=severity))
    return adjusted


class _Drawn(NamedTuple):
    """The contours of a file: counts, findings and measurements."""

    found: list[Finding]
    measured: list[MeasuredStructure]
    plain: int  # contours whose numbers are known to be a valid DS


def _contours(  # noqa: PLR0913 - a file, and what it is compared with
    file: DataSet,
    contours: FoundContours,
    facts: StructureSet,
    crosswalk: Crosswalk,
    *,
    originals: Mapping[str, str],
    wanted: StructureCriteria,
) -> _Drawn:
    grid = Grid.of(crosswalk)
    if grid is None:
        return _Drawn([Finding(Severity.BLOCK, "no-grid", _NO_GRID)], [], plain=-1)
    derived = {roi.number: roi.name for roi in facts.rois if roi.name in wanted.derived}
    names = {roi.number: roi.name for roi in facts.rois if roi.number not in derived}
    numbers = crosswalk.frame_numbers
    sent = (
        in_frames(contour, numbers)
        for contour in read_contours(file, contours)
        if contour.roi not in derived
    )
    found, measured = inspect_contours(sent, names, grid, originals, wanted.bounds)
    plain = sum(structure.plain for structure in measured)
    if derived:
        ours = (one for one in read_contours(file, contours) if one.roi in derived)
        more, made = inspect_contours(ours, derived, grid, originals)
        found += [(check, text) for check, text in more if check in _OF_DERIVED]
        plain += sum(structure.plain for structure in made)
    return _Drawn(apply_severities(found, wanted.severities), measured, plain)


def _other_identity(file: DataSet, crosswalk: Crosswalk) -> list[str]:
    """Return a text for each patient or study value that differs from that of the images."""
    character_set = file.raw(file.elements, tags.SpecificCharacterSet) or b""
    same_set = character_set.strip(b" \0") == crosswalk.character_set.strip(b" \0")
    others = []
    for tag in RESTORED:
        ours = (file.raw(file.elements, tag) or b"").strip(b" \0")
        source = crosswalk.identity.get(tag, b"").strip(b" \0")
        if ours != source and (
            same_set
            or decode_text(ours, character_set) != decode_text(source, crosswalk.character_set)
        ):
            others.append(f"{name_of(tag)} differs from that of the images")
    return others
