"""Past patients in a folder: which series has which clinical structure set. In doubt none."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from drawcli.adapters.datastore.images import open_slice
from drawcli.adapters.datastore.walk import Walk, read_datastore
from drawcli.core.dicom import tags
from drawcli.core.dicom.references import contoured_images, referenced_images
from drawcli.core.gate.acceptance import STRUCTURE_SET
from drawcli.core.series.verdict import Readiness
from drawcli.errors import BadStructureSet, OutOfReach, SeriesRefused, SourceUnsettled, UsageError
from drawcli.operations.qa.clinical.delivered_set import drawcli_of
from drawcli.operations.qa.compare import StructureSetFile, read_structure_set
from drawcli.pipeline.context import Context
from drawcli.pipeline.survey import SeriesSnapshot, snapshot_series
from drawcli.system.failures import raise_if_short
from drawcli.system.platforms import is_within

_APPROVED: Final = "APPROVED"
_REJECTED: Final = "REJECTED"
LEFT_OUT: Final = {
    "no-images": "structure sets whose images are not in the folder",
    "several-series": "structure sets of several series of the folder",
    "other-images": "structure sets drawn on images that are not in the folder",
    "other-patient": "structure sets of another patient than their images",
    "ours": "structure sets that drawcli delivered",
    "rejected": "structure sets that were rejected in the planning system",
    "unreadable": "structure sets that cannot be read",
    "not-preferred": "structure sets of a series that has a preferred one",
    "undecided": "structure sets of a series that has several, none preferred: keep one of them",
    "no-structure-set": "series without a clinical structure set",
}


@dataclass(frozen=True, slots=True)
class PastCase:
    """A series of a past patient and its clinical structure set."""

    number: int  # from 1, in an order that tells nothing of the patients
    series: SeriesSnapshot
    clinical: StructureSetFile

    @property
    def patient(self) -> tuple[str, str]:
        """Name and ID of the patient; only to be shown with --identify."""
        return self.series.crosswalk.patient


@dataclass(slots=True)
class PastCases:
    """The cases of a folder, and what was left out."""

    cases: list[PastCase] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)  # by code, see `LEFT_OUT`
    refused: Counter[str] = field(default_factory=Counter)  # series, by the reason of the scan

    @property
    def sentences(self) -> list[str]:
        """What was left out, in words."""
        found = [f"{count} {LEFT_OUT[code]}" for code, count in sorted(self.left_out.items())]
        found += [f"{count} series: {text}" for text, count in sorted(self.refused.items())]
        return found


def find_past_cases(folder: Path, ctx: Context) -> PastCases:
    """Return the cases in a folder of any layout.

    Raises
    ------
    UsageError
        If the folder does not exist, is in state_dir, or holds no case.
    """
    walk, found = _walk(folder, ctx), PastCases()
    sets = _by_series(_structure_sets(walk, found), walk, found)
    for seen in sorted(snapshot_series(walk, ctx), key=lambda seen: seen.key):
        if seen.verdict.readiness is not Readiness.IGNORED:
            clinical = _clinical(sets.get(seen.slices[0].series_uid, ()), seen, ctx, found)
            if clinical is not None and seen.verdict.readiness is Readiness.READY:
                found.cases.append(PastCase(len(found.cases) + 1, seen, clinical))
            elif clinical is not None:
                found.refused[seen.verdict.text] += 1
    if not found.cases:
        raise UsageError(
            f"{folder} has no series with a clinical structure set"
            + "".join(f"; {sentence}" for sentence in found.sentences),
            hint="Copy images and RTSTRUCT of each past patient into it, in any layout.",
        )
    return found


def _walk(folder: Path, ctx: Context) -> Walk:
    """Read every header of a folder."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="Name the folder of the past patients.")
    if is_within(folder, ctx.site_dir):
        raise UsageError(f"{folder} is in {ctx.site_dir}; name the folder of the past patients")
    try:
        return read_datastore([folder])
    except OutOfReach as err:
        raise UsageError(str(err), hint=err.hint) from None


def _structure_sets(walk: Walk, found: PastCases) -> Iterator[StructureSetFile]:
    """Yield each structure set once, although the folder may have copies."""
    paths = {one.sop_uid: one.path for one in walk.slices if one.sop_class == STRUCTURE_SET}
    for path in sorted(paths.values()):
        try:
            one = read_structure_set(Path(path))
            _ = one.rois
        except (BadStructureSet, UsageError) as err:
            raise_if_short(err)
            found.left_out["unreadable"] += 1
        else:
            yield one


def _by_series(
    sets: Iterable[StructureSetFile], walk: Walk, found: PastCases
) -> dict[str, list[StructureSetFile]]:
    here = walk.by_series().keys()
    by_series: dict[str, list[StructureSetFile]] = defaultdict(list)
    for one in sets:
        mine = one.series & here
        if len(mine) == 1:
            by_series[next(iter(mine))].append(one)
        else:
            found.left_out["several-series" if mine else "no-images"] += 1
    return by_series


def _clinical(
    sets: Sequence[StructureSetFile], seen: SeriesSnapshot, ctx: Context, found: PastCases
) -> StructureSetFile | None:
    """Return the clinical structure set of a series, or None, counted with its reason."""
    own = set(_delivered_uids(seen, ctx))
    fit = []
    for one in sets:
        reason = _unfit(one, seen, own)
        found.left_out[reason] += bool(reason)
        if not reason:
            fit.append(one)
    approved = [one for one in fit if one.header.text(tags.ApprovalStatus) == _APPROVED]
    chosen = _latest(approved) if approved else (fit[0] if len(fit) == 1 else None)
    if chosen is None:
        found.left_out["undecided" if fit else "no-structure-set"] += len(fit) or 1
    else:
        found.left_out["not-preferred"] += len(fit) - 1
    found.left_out = +found.left_out
    return chosen


def _unfit(one: StructureSetFile, seen: SeriesSnapshot, own: set[str]) -> str:
    """Return why a structure set is not the clinical one; "" if it may be."""
    is_approved = one.header.text(tags.ApprovalStatus) == _APPROVED
    made_by_us = bool(drawcli_of(one.header)) and not is_approved
    reasons = {
        "ours": one.header.text(tags.SOPInstanceUID) in own or made_by_us,
        "other-images": not _on_images(one, seen),
        "other-patient": not _of_patient(one, seen),
        "rejected": one.header.text(tags.ApprovalStatus) == _REJECTED,
    }
    return next((reason for reason, applies in reasons.items() if applies), "")


def _on_images(one: StructureSetFile, seen: SeriesSnapshot) -> bool:
    """Return whether a set names no image that the series lacks, and is drawn on it."""
    here = {file.sop_uid for file in seen.slices}
    drawn_on = contoured_images(one.header)
    if not referenced_images(one.header, seen.slices[0].series_uid) <= here:
        return False
    return not drawn_on or bool(drawn_on & here)


def _of_patient(one: StructureSetFile, seen: SeriesSnapshot) -> bool:
    first = seen.slices[0]
    born = one.header.text(tags.PatientBirthDate)
    same = one.header.text(tags.PatientID) == first.patient_id
    return same and len({born, _birth_date(first.path) if born else ""} - {""}) <= 1


def _birth_date(path: str) -> str:
    """Return the PatientBirthDate of an image; "" if it is missing."""
    try:
        stream, header = open_slice(path)
    except (SourceUnsettled, SeriesRefused):
        return ""
    stream.close()
    return header.text(tags.PatientBirthDate)


def _latest(approved: Sequence[StructureSetFile]) -> StructureSetFile | None:
    """Return the set that was approved last; None if two have the same claim."""
    ordered = sorted(approved, key=_reviewed)
    is_clear = len(ordered) == 1 or _reviewed(ordered[-1]) != _reviewed(ordered[-2])
    return ordered[-1] if is_clear else None


def _reviewed(one: StructureSetFile) -> tuple[str, str]:
    return one.header.text(tags.ReviewDate), one.header.text(tags.ReviewTime)


def _delivered_uids(seen: SeriesSnapshot, ctx: Context) -> Iterator[str]:
    """Yield the SOPInstanceUIDs of what was delivered for a series."""
    uid, root = seen.slices[0].series_uid, ctx.settings.deliver.uid_root
    for stand_ins in (ctx.stand_ins, *ctx.retired):
        key = stand_ins.series_key(uid)
        jobs = [job.id for job in ctx.ledger.of_series(key)]
        for job_id in {*jobs, *(entry.id for entry in ctx.ledger.archive.of_series(key))}:
            yield stand_ins.own_uid("rtstruct", job_id, root=root)
