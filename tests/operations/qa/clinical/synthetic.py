"""Synthetic patients with a delivered structure set and clinical ones of every kind.

No image is written and no server asked: a delivered job has a vault, a template and a file.
"""

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

from drawcli.adapters.state.workdir import AS_SENT
from drawcli.core.dicom import tags
from drawcli.core.jobs.job import EventKind, Job, State
from drawcli.core.series.crosswalk import Crosswalk, SourceFile
from drawcli.core.templates.template import Model, Template
from drawcli.pipeline.context import Context
from drawcli.pipeline.steps.reidentify import own_uids
from tests.conftest import NOON
from tests.operations.qa.clinical.clinic import delivered_file
from tests.structure_sets import RT_STRUCTURE_SET

SLICES = 4
STEP = 3.0
ROIS = ("Bladder", "Rectum", "Femur_Head_L")
MODEL = Model(name="M", config="2d", trainer_name="T", postprocess=None, map={1: "Bladder"})
APPROVED = {"ApprovalStatus": "APPROVED", "ReviewDate": "20261115", "ReviewTime": "0900"}


@dataclass(frozen=True)
class Patient:
    """The identity of a synthetic patient and of the series that was sent."""

    number: int
    series: str = field(default_factory=generate_uid)
    study: str = field(default_factory=generate_uid)
    frame: str = field(default_factory=generate_uid)
    images: tuple[str, ...] = field(
        default_factory=lambda: tuple(generate_uid() for _ in range(SLICES))
    )

    @property
    def id(self) -> str:
        return f"SYN{self.number:05}"

    def crosswalk(self, store: Path) -> Crosswalk:
        files = tuple(
            SourceFile(
                str(store / f"p{self.number:05}" / f"{k}.dcm"),
                1,
                0,
                uid,
                positions=((0, 0, k * STEP),),
            )
            for k, uid in enumerate(self.images)
        )
        return Crosswalk(
            series_uid=self.series,
            study_uid=self.study,
            patient_id=self.id,
            patient_name=f"Kowalski{self.number}^Anna",
            files=files,
            frame_uid=self.frame,
            identity={tags.PatientBirthDate: b"19330303"},
            orientation=(1, 0, 0, 0, 1, 0),
            spacing=(1, 1),
            shape=(256, 256),
            sop_class="1.2.840.10008.5.1.4.1.1.2",
        )


def dataset(patient: Patient, rois: Sequence[str] = ROIS, **values: Any) -> Dataset:
    """Return a structure set of a patient: a square for each ROI on each slice."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    made.SpecificCharacterSet = "ISO_IR 100"
    made.SOPClassUID = RT_STRUCTURE_SET
    made.SOPInstanceUID = generate_uid()
    made.Modality = "RTSTRUCT"
    made.PatientName, made.PatientID = f"Kowalski{patient.number}^Anna", patient.id
    made.StudyInstanceUID, made.SeriesInstanceUID = patient.study, generate_uid()
    made.StructureSetLabel = "clinical"
    made.StructureSetDate, made.StructureSetTime = "20261114", "170000"
    series = _items(SeriesInstanceUID=patient.series)
    series[0].ContourImageSequence = [_image(uid)[0] for uid in patient.images]
    study = _items(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1", RTReferencedSeriesSequence=series
    )
    study[0].ReferencedSOPInstanceUID = patient.study
    made.ReferencedFrameOfReferenceSequence = _items(
        FrameOfReferenceUID=patient.frame, RTReferencedStudySequence=study
    )
    made.StructureSetROISequence, made.ROIContourSequence = [], []
    made.RTROIObservationsSequence = []
    for number, name in enumerate(rois, start=1):
        made.StructureSetROISequence += _items(
            ROINumber=number, ReferencedFrameOfReferenceUID=patient.frame, ROIName=name
        )
        contours = [_square(patient, k, 40.0 * number) for k in range(SLICES)]
        made.ROIContourSequence += _items(ReferencedROINumber=number, ContourSequence=contours)
        made.RTROIObservationsSequence += _items(
            ObservationNumber=number, ReferencedROINumber=number, RTROIInterpretedType="ORGAN"
        )
    made.ApprovalStatus = "UNAPPROVED"
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def _items(**values: Any) -> list[Dataset]:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return [item]


def _image(uid: str) -> list[Dataset]:
    return _items(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID=uid)


def _square(patient: Patient, k: int, x: float) -> Dataset:
    corners = ((x, 0.0), (x + 30, 0.0), (x + 30, 30.0), (x, 30.0))
    contour = _items(
        ContourImageSequence=_image(patient.images[k]),
        ContourGeometricType="CLOSED_PLANAR",
        NumberOfContourPoints=4,
        ContourData=[f"{v:g}" for u, w in corners for v in (u, w, k * STEP)],
    )
    return contour[0]


def file_bytes(made: Dataset) -> bytes:
    """Return a data set as a file."""
    out = io.BytesIO()
    made.save_as(out, enforce_file_format=True)
    return out.getvalue()


def edit(made: Dataset, roi: int = 0, mm: float = 4.0) -> Dataset:
    """Move one ROI on half of its slices."""
    for contour in made.ROIContourSequence[roi].ContourSequence[: SLICES // 2]:
        data = [float(value) for value in contour.ContourData]
        contour.ContourData = [f"{v + mm * (n % 3 == 0):g}" for n, v in enumerate(data)]
    return made


def renamed(made: Dataset) -> Dataset:
    """Give an ROI a name that nothing pairs."""
    made.StructureSetROISequence[1].ROIName = "Enddarm"
    return made


def split(made: Dataset) -> Dataset:
    """Make two ROIs of the third: its lower and its upper slices."""
    upper = _items(ReferencedROINumber=9)
    contours = made.ROIContourSequence[2].ContourSequence
    upper[0].ContourSequence = list(contours[SLICES // 2 :])
    made.ROIContourSequence[2].ContourSequence = list(contours[: SLICES // 2])
    made.StructureSetROISequence[2].ROIName = "Femur_low"
    made.ROIContourSequence += upper
    made.StructureSetROISequence += _items(
        ROINumber=9,
        ROIName="Femur_high",
        ReferencedFrameOfReferenceUID=made.StructureSetROISequence[0].ReferencedFrameOfReferenceUID,
    )
    made.RTROIObservationsSequence += _items(ObservationNumber=9, ReferencedROINumber=9)
    return made


def without_series(made: Dataset) -> Dataset:
    """Remove every reference to series and images; the frame of reference stays."""
    del made.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence
    for roi in made.ROIContourSequence:
        for contour in roi.ContourSequence:
            del contour.ContourImageSequence
    return made


def between_slices(made: Dataset) -> Dataset:
    """Move all contours half a slice."""
    for roi in made.ROIContourSequence:
        for contour in roi.ContourSequence:
            data = [float(value) for value in contour.ContourData]
            contour.ContourData = [f"{v + STEP / 2 * (n % 3 == 2):g}" for n, v in enumerate(data)]
    return made


def in_syntax(made: Dataset, syntax: str) -> bytes:
    """Return a file in another transfer syntax."""
    made.file_meta.TransferSyntaxUID = UID(syntax)
    return file_bytes(made)


@dataclass
class Expected:
    """What must become of a patient's sets."""

    status: str
    chosen: int | None = None  # the number of the file
    others: tuple[str, ...] = ()  # reasons, in alphabetical order
    outcomes: frozenset[str] = frozenset()  # some of those of the structures


Kind = Callable[[Patient, Patient], tuple[list[bytes], Expected]]


def _of(*sets: Dataset | bytes) -> list[bytes]:
    return [one if isinstance(one, bytes) else file_bytes(one) for one in sets]


def only_approved(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    found = frozenset({"edited"})
    return _of(edit(dataset(p, **APPROVED))), Expected("compared", 0, outcomes=found)


def with_new_names(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    found = frozenset({"renamed", "untouched"})
    return _of(renamed(dataset(p, **APPROVED))), Expected("compared", 0, outcomes=found)


def in_parts(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    found = frozenset({"split", "untouched"})
    return _of(split(dataset(p, **APPROVED))), Expected("compared", 0, outcomes=found)


def exported_again(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    return _of(dataset(p)), Expected("waiting", 0)


def exported_again_beside_an_edited(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    later = {"StructureSetDate": "20261116"}
    sets = _of(edit(dataset(p, **APPROVED)), dataset(p, **later), dataset(p, **APPROVED | later))
    return sets, Expected("compared", 0, ("less-preferred",) * 2, frozenset({"edited"}))


def not_approved(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    return _of(edit(dataset(p))), Expected("waiting", 0)


def of_another_patient(p: Patient, other: Patient) -> tuple[list[bytes], Expected]:
    foreign = dataset(p, PatientID=other.id, **APPROVED)
    frame_only = without_series(dataset(p, PatientID=other.id, **APPROVED))
    return _of(foreign, frame_only), Expected("missing", None, ("other-patient",) * 2)


def of_a_namesake(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    foreign = dataset(p, PatientID=p.id + " ", PatientBirthDate="19400101", **APPROVED)
    own = edit(dataset(p, **APPROVED))
    return _of(foreign, own), Expected("compared", 1, ("other-patient",))


def older(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    before = {"StructureSetDate": "20261101"}
    reviewed = APPROVED | before | {"ReviewDate": "20261102"}
    sets = _of(dataset(p, **before), edit(dataset(p, **reviewed)))
    return sets, Expected("missing", None, ("older", "older"))


def older_and_newer(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    early = edit(dataset(p, **APPROVED))
    late = edit(dataset(p, **APPROVED | {"ReviewDate": "20261120"}), 1)
    old = dataset(p, StructureSetDate="20261101")
    return _of(early, late, old), Expected("compared", 1, ("less-preferred", "older"))


def of_a_changed_series(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    changed = replace(p, images=(*p.images[:-1], generate_uid()))
    return _of(edit(dataset(changed, **APPROVED))), Expected("changed", None, ("other-images",))


def of_another_series(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    other = replace(p, series=generate_uid(), images=tuple(generate_uid() for _ in p.images))
    return _of(dataset(other, **APPROVED)), Expected("missing", None, ("other-series",))


def without_preference(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    sets = _of(edit(dataset(p, **APPROVED)), edit(dataset(p, **APPROVED), 1))
    return sets, Expected("unclear", None, ("undecided",) * 2)


def without_any(_p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    return [], Expected("missing")


def half_written(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    whole = file_bytes(edit(dataset(p, **APPROVED)))
    made = dataset(p, **APPROVED)
    del made.RTROIObservationsSequence  # cut off exactly between two elements
    return [whole[:-200], file_bytes(made)], Expected("missing", None, ("unreadable",))


def with_a_number_twice(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    made = edit(dataset(p, **APPROVED))
    made.StructureSetROISequence[1].ROINumber = 1  # whose contours are these?
    return _of(made), Expected("missing", None, ("unreadable",))


def in_other_encodings(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    deflated = in_syntax(edit(dataset(p, **APPROVED)), DeflatedExplicitVRLittleEndian)
    big = in_syntax(dataset(p, StructureSetDate="20261101"), ExplicitVRBigEndian)
    bare = file_bytes(dataset(p, ApprovalStatus="REJECTED"))[132:]
    return [deflated, big, bare], Expected("compared", 0, ("older", "rejected"))


def by_its_planes(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    sets = _of(
        without_series(edit(dataset(p, **APPROVED))),
        between_slices(without_series(dataset(p, **APPROVED))),
    )
    return sets, Expected("compared", 0, ("other-planes",))


def of_other_structures(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    nodes = dataset(p, ("CTVn", "Anna Kowalski"), **APPROVED | {"ReviewDate": "20261120"})
    for roi in nodes.ROIContourSequence:
        edit(nodes, nodes.ROIContourSequence.index(roi), 500.0)
    return _of(edit(dataset(p, **APPROVED)), nodes), Expected("compared", 0, ("nothing-in-common",))


def drawn_on_another_series(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    made, images = edit(dataset(p, **APPROVED)), [generate_uid() for _ in p.images]
    study = made.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    second = _items(SeriesInstanceUID=generate_uid())
    second[0].ContourImageSequence = [_image(uid)[0] for uid in images]
    study.RTReferencedSeriesSequence += second
    for roi in made.ROIContourSequence:
        for uid, contour in zip(images, roi.ContourSequence, strict=True):
            contour.ContourImageSequence = _image(uid)
    return _of(made), Expected("missing", None, ("other-series",))


def of_last_year_without_a_date(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    last_year = {"ApprovalStatus": "APPROVED", "ReviewDate": "20251102"}
    reviewed = dataset(p, StructureSetDate="", StructureSetTime="", **last_year)
    created = dataset(p, StructureSetDate="", InstanceCreationDate="20251102")
    return _of(reviewed, created), Expected("missing", None, ("older", "older"))


def with_a_withdrawn_approval(p: Patient, _: Patient) -> tuple[list[bytes], Expected]:
    uid = generate_uid()
    before = edit(dataset(p, SOPInstanceUID=uid, **APPROVED))
    after = edit(dataset(p, SOPInstanceUID=uid, StructureSetDate="20261116"), 1)
    return _of(before, after), Expected("waiting", 1, ("less-preferred",))


KINDS: tuple[Kind, ...] = (
    *(only_approved, with_new_names, in_parts, exported_again, exported_again_beside_an_edited),
    *(not_approved, of_another_patient, of_a_namesake, older, older_and_newer),
    *(of_a_changed_series, of_another_series, without_preference, without_any, half_written),
    *(in_other_encodings, by_its_planes, of_other_structures),
    *(drawn_on_another_series, of_last_year_without_a_date, with_a_withdrawn_approval),
    with_a_number_twice,
)


@dataclass
class Case:
    """A patient with a delivered job, and what must become of the sets."""

    patient: Patient
    job: Job
    sets: list[bytes]
    expected: Expected

    @property
    def digests(self) -> list[str]:
        return [hashlib.sha256(one).hexdigest() for one in self.sets]


def add_cases(
    ctx: Context, store: Path, count: int, kinds: Sequence[Kind] = KINDS, first: int = 0
) -> list[Case]:
    """Put patients with delivered jobs into a site, and their sets into a folder."""
    patients = [Patient(number) for number in range(first, first + count)]
    cases = []
    for patient in patients:
        other = patients[(patient.number - first + 1) % count]
        sets, expected = kinds[patient.number % len(kinds)](patient, other)
        job = add_delivered(ctx, patient)
        folder = store / f"clinic{patient.number:05}"
        folder.mkdir(parents=True)
        for number, data in enumerate(sets):
            (folder / f"{number}.dcm").write_bytes(data)
        cases.append(Case(patient, job, sets, expected))
    ctx.ledger.add(*(case.job for case in cases))
    return cases


def add_delivered(ctx: Context, patient: Patient) -> Job:
    """Return a delivered job of a patient, with its vault, template and file; not in the ledger."""
    crosswalk = patient.crosswalk(ctx.settings.datastore[0])
    job = Job(
        id=f"{ctx.stand_ins.series_key(patient.series)}-1",
        state=State.DONE,
        since=NOON - timedelta(hours=2),
        template="Prostate_OAR",
        modality="CT",
        source_digest="0" * 16,
        key_id=ctx.stand_ins.key_id,
    )
    ctx.seal(job.id, crosswalk)
    sent = Template(models={720: MODEL})
    (ctx.work.folder(job.id) / AS_SENT).write_bytes(sent.as_json(only_given=True).encode())
    own = own_uids(job, ctx)
    data = file_bytes(dataset(patient, SOPInstanceUID=own.sop, SeriesInstanceUID=own.series))
    path = delivered_file(job, ctx)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    return replace(job, delivered_sha256=digest).noted(
        job.since, "delivered", kind=EventKind.REACHED
    )
