"""Commissioning: past patients by the real steps, delivered nowhere, compared and judged."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from drawcli.core.jobs.job import State
from drawcli.core.qa.criteria import StructureResult
from drawcli.errors import ConfigError, UsageError
from drawcli.operations.commissioning import side_ledger
from drawcli.operations.commissioning.acceptance_file import read_acceptance
from drawcli.operations.commissioning.commission import CommissionRequest, commission
from drawcli.operations.commissioning.limits import commissioned_limits, save_baseline
from drawcli.operations.commissioning.past_cases import find_past_cases
from drawcli.operations.commissioning.report import document_of, remarks, sentence
from drawcli.operations.commissioning.results import Commissioned
from drawcli.operations.commissioning.side_ledger import WaitOptions
from drawcli.operations.qa.document import as_html
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from drawcli.sandbox.catalogue import as_json
from tests.conftest import Site
from tests.fake_draw import FakeDraw
from tests.operations.commissioning.conftest import PastPatients

Sleep = Callable[[float], None]
Run = Callable[..., Commissioned]
TEMPLATE = "Prostate_OAR"


@pytest.fixture
def draw() -> FakeDraw:
    return FakeDraw(models=as_json())


@pytest.fixture
def run(ctx: Context, past: PastPatients, sleep: Sleep, tmp_path: Path) -> Run:
    """Return a function that commissions the folder."""

    def call(accept: str = "Bladder: {dice: '>= 0.9'}", **given: object) -> Commissioned:
        file = tmp_path / "accept.yaml"
        file.write_text(accept)
        waiting = WaitOptions(sleep=sleep, until=given.pop("until", None))  # type: ignore[arg-type]
        facts: dict[str, object] = {"folder": past.folder, "template": TEMPLATE, "accept": file}
        request = CommissionRequest(**facts | given)  # type: ignore[arg-type] # as asked
        return commission(ctx, request, waiting)

    return call


def named(done: Commissioned, name: str) -> StructureResult:
    return next(one for one in done.results if one.name == name)


@pytest.mark.usefixtures("distances")
def test_past_patients_go_to_the_server_and_back_and_are_compared_and_judged(
    run: Run, past: PastPatients, draw: FakeDraw, ctx: Context, site: Site
) -> None:
    for number, mm in enumerate((1.5, 3.0, 6.0), start=1):
        past.add(number, mm)
    before = sorted(past.folder.rglob("*"))

    done = run("Bladder: {dice: '>= 0.9', surface_dice_2mm: '>= 0.99'}\nRectum: {n: '>= 3'}")

    assert (len(draw.uploads), len(draw.confirmed), draw.results) == (3, 3, {})
    assert {one.job.state for one in done.cases} == {State.DONE}
    dices = sorted(round(one.dice or 0, 3) for one in done.by_case("Bladder").values())
    assert dices == [0.8, 0.9, 0.95]  # squares of 30 mm
    verdicts = {one.criterion.text: one.passed for one in named(done, "Bladder").judgements}
    assert verdicts == {">= 0.9": True, ">= 0.99": False}
    assert (named(done, "Rectum").passed, done.passed) == (True, False)
    # Nothing is delivered, neither beside the images nor elsewhere, and the site has no job.
    assert sorted(past.folder.rglob("*")) == before
    assert [path for path in site.store.rglob("*") if path.is_file()] == []
    assert not list(site.state.rglob("qa/**/*.dcm.*"))
    assert ctx.ledger.jobs() == []
    purposes = {line.facts.get("purpose") for line in ctx.audit.lines()}
    assert purposes == {"commissioning"}


def test_a_second_call_goes_on_where_the_first_has_stopped(
    run: Run, past: PastPatients, draw: FakeDraw, ctx: Context
) -> None:
    past.add(1)
    past.add(2)
    draw.status = "PROCESSING"
    first = run(until=ctx.now())
    assert (len(first.compared), first.is_complete, first.stopped) == (0, False, "the time is over")
    assert [one.standing for one in first.cases] == ["not finished: uploaded"] * 2
    assert (first.passed, sentence(first)) == (None, "NOT FINISHED: no case is back.")
    draw.status = "SEGMENTATION COMPLETED"
    past.folder.rename(past.folder.with_name("moved"))

    second = run(folder=past.folder.with_name("moved"))

    assert (len(second.compared), second.is_complete, len(draw.uploads)) == (2, True, 2)
    half = replace(second, cases=(second.cases[0], first.cases[1]))
    assert (second.passed, half.passed) == (True, None)
    assert sentence(half).startswith("NOT FINISHED: so far 1 of 1 structure")
    third = run(folder=past.folder.with_name("moved"))
    assert (len(third.compared), len(draw.uploads)) == (2, 2)
    assert third.results == second.results
    again = run(folder=past.folder.with_name("moved"), again=True)
    assert (len(again.compared), len(draw.uploads)) == (2, 4)


def test_only_some_series_are_on_the_way_at_once(
    run: Run, past: PastPatients, draw: FakeDraw, monkeypatch: pytest.MonkeyPatch, site: Site
) -> None:
    monkeypatch.setattr(side_ledger, "MOST_ON_THE_WAY", 1)
    for number in (1, 2):
        past.add(number)
    most: list[int] = []
    draw.watch = lambda _request: most.append(len(draw.results))

    done = run()

    assert (len(done.compared), max(most)) == (2, 1)
    assert not list(site.state.rglob("package.zip"))


@pytest.mark.sweep
def test_another_catalogue_entry_begins_a_new_commissioning(
    run: Run, past: PastPatients, draw: FakeDraw
) -> None:
    past.add(1)
    first = run()
    draw.models = as_json(version=2)

    second = run()

    assert first.version.name != second.version.name
    assert len(draw.uploads) == 2


@pytest.mark.sweep
def test_a_held_case_is_told_and_tried_again_when_asked(
    run: Run, past: PastPatients, draw: FakeDraw
) -> None:
    past.add(1)
    draw.status = "FAILED"
    held = run()
    assert (held.passed, held.cases[0].job.held, held.is_complete) == (None, True, True)
    assert next(remarks(held)).startswith("1 case not in the result: held: the server")
    draw.status = "SEGMENTATION COMPLETED"

    assert run().cases[0].job.held
    assert run(retry=True).passed is True


def test_a_series_sent_for_clinical_use_is_not_disturbed(
    run: Run, past: PastPatients, draw: FakeDraw, ctx: Context, pelvis: list[Path]
) -> None:
    for command in ("scan", "match", "deidentify", "upload"):
        run_step(command, ctx, Selection())
    (clinical,) = ctx.ledger.jobs()
    past.add_set(pelvis, 3.0)

    done = run(folder=pelvis[0].parent)

    assert done.passed is True
    assert ctx.ledger.jobs() == [clinical]
    assert done.cases[0].job.series_key != clinical.series_key
    for command in ("poll", "fetch", "reidentify"):
        run_step(command, ctx, Selection())
    (delivered,) = ctx.ledger.jobs()
    assert (delivered.state, delivered.series_key) == (State.DONE, clinical.series_key)
    # Now the folder also holds what drawcli delivered: it is not a clinical set.
    assert run(folder=pelvis[0].parent).past.left_out == {"ours": 1}
    assert len(draw.uploads) == 2


def approved(day: str) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        dataset.ApprovalStatus = "APPROVED"
        dataset.ReviewDate = day
        dataset.ReviewTime = "120000"

    return change


def other_patient(dataset: Dataset) -> None:
    dataset.PatientID = "SOMEBODY-ELSE"


def rejected(dataset: Dataset) -> None:
    dataset.ApprovalStatus = "REJECTED"


def namesake(dataset: Dataset) -> None:
    dataset.PatientBirthDate = "19010101"


def on_other_images(dataset: Dataset) -> None:
    drawn = dataset.ROIContourSequence[0].ContourSequence[0]
    drawn.ContourImageSequence[0].ReferencedSOPInstanceUID = generate_uid()


def on_another_series(dataset: Dataset) -> None:
    study = dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    other = deepcopy(study.RTReferencedSeriesSequence[0])
    other.SeriesInstanceUID = generate_uid()
    for image in other.ContourImageSequence:
        image.ReferencedSOPInstanceUID = generate_uid()
    study.RTReferencedSeriesSequence.append(other)
    for roi in dataset.ROIContourSequence:
        for contour in roi.ContourSequence:
            contour.ContourImageSequence = [other.ContourImageSequence[0]]


@pytest.mark.parametrize(
    ("sets", "left_out", "dice"),
    [
        (((3.0, approved("20260101")), (6.0, None)), {"not-preferred": 1}, 0.9),
        (((3.0, approved("20260101")), (6.0, approved("20260201"))), {"not-preferred": 1}, 0.8),
        (((3.0, None), (6.0, other_patient)), {"other-patient": 1}, 0.9),
        (((3.0, None), (6.0, rejected)), {"rejected": 1}, 0.9),
        (((3.0, None), (6.0, None)), {"undecided": 2}, None),
        (((3.0, other_patient),), {"other-patient": 1, "no-structure-set": 1}, None),
        (((3.0, approved("20260101")), (6.0, approved("20260101"))), {"undecided": 2}, None),
        (((3.0, None), (6.0, namesake)), {"other-patient": 1}, 0.9),
        (((3.0, None), (6.0, on_other_images)), {"other-images": 1}, 0.9),
        (((3.0, None), (6.0, on_another_series)), {"other-images": 1}, 0.9),
    ],
)
def test_the_clinical_set_of_a_series_is_chosen_or_told_but_never_guessed(
    past: PastPatients,
    ctx: Context,
    sets: tuple[tuple[float, Callable[[Dataset], None] | None], ...],
    left_out: dict[str, int],
    dice: float | None,
) -> None:
    for number, (mm, change) in enumerate(sets):
        past.add(1, mm, change=change or (lambda _dataset: None), name=f"{number}.dcm")
    if dice is None:
        past.add(2)  # a case, else there is nothing to commission

    found = find_past_cases(past.folder, ctx)

    assert dict(found.left_out) == left_out
    chosen = [one for one in found.cases if "KOWALSKI-1" in str(one.clinical.path)]
    assert [one.clinical.path.name for one in chosen] == (
        [] if dice is None else ["0.dcm" if dice == 0.9 else "1.dcm"]
    )


def test_a_folder_without_a_case_is_refused_with_what_it_holds(
    run: Run, past: PastPatients
) -> None:
    past.images(1)
    with pytest.raises(UsageError, match="1 series without a clinical structure set"):
        run()
    path = past.add(2)
    for image in path.parent.glob("*.CT.*"):
        image.unlink()
    with pytest.raises(UsageError, match="1 structure sets whose images are not in the folder"):
        run()


@pytest.mark.parametrize(
    ("accept", "where", "why"),
    [
        ("Blader: {dice: '>= 0.9'}", ":1:1", "did you mean 'Bladder'"),
        ("Bladder:\n  dise: '>= 0.9'", ":2:3", "unknown metric 'dise'"),
        ("Bladder:\n  dice: ['>= 0.9', '<= 2']", ":2:3", "larger is better"),
        ("Bladder: '>= 0.9'", ":1:1", "metrics and limits below it"),
        ("", ":1:1", "expected structures"),
        ("Bladder: {dice: >= 0.9}", ":1:", ""),
    ],
)
def test_a_mistake_in_the_acceptance_file_is_told_with_its_place(
    tmp_path: Path, accept: str, where: str, why: str
) -> None:
    file = tmp_path / "accept.yaml"
    file.write_text(accept)

    with pytest.raises(ConfigError) as caught:
        read_acceptance(file, ["Bladder", "Rectum"])

    assert f"accept.yaml{where}" in str(caught.value)
    assert why in str(caught.value)
    assert "'>= 0.90'" in caught.value.hint


def test_a_metric_without_a_limit_is_no_criterion(tmp_path: Path) -> None:
    path = tmp_path / "accept.yaml"
    path.write_text("Bladder: {dice: []}")

    with pytest.raises(ConfigError, match="dice of Bladder has no limit"):
        read_acceptance(path, ["Bladder"])


def test_the_page_to_sign_names_no_patient_and_tells_the_result(
    run: Run, past: PastPatients, ctx: Context
) -> None:
    past.add(1, 3.0)
    done = run("Bladder: {dice: '>= 0.95'}\n'*': {dice: '>= 0.5'}")

    page = as_html(document_of(done, ctx.settings, "0123456789abcdef"))

    assert sentence(done).startswith("FAIL: 3 of 4 structures with criteria meet them, in 1 case")
    for text in (sentence(done), "ward-7", TEMPLATE, "720 TSPrime", "signature", "0123456789ab"):
        assert text in page
    for text in (*done.cases[0].case.patient, "KOWALSKI", "PAST-001", str(past.folder)):
        assert text not in page
    assert page.count("<img") == 4 * 3  # each structure in three planes
    assert "<tr><td>1</td>" + '<td class="n">0.900</td>' * 4 + "</tr>" in page  # the only case
    assert as_html(document_of(done, ctx.settings, "0123456789abcdef")) == page


def test_contours_that_are_the_models_own_are_pointed_out(run: Run, past: PastPatients) -> None:
    past.add(1, 0.0)

    done = run()

    assert any("prove nothing" in text for text in remarks(done))


def test_a_baseline_needs_twenty_changed_cases(run: Run, past: PastPatients, ctx: Context) -> None:
    past.add(1)
    done = run()
    assert save_baseline(ctx.site_dir, done, ["dice"], ctx.now()) == 0
    many = [one for one in done.cases for _ in range(20)]
    spread = tuple(
        replace(one, case=replace(one.case, number=number)) for number, one in enumerate(many)
    )

    assert save_baseline(ctx.site_dir, replace(done, cases=spread), ["dice"], ctx.now()) == 4

    limits = commissioned_limits(ctx.site_dir)[TEMPLATE, "Bladder", "dice", done.version.name]
    assert (limits.source, limits.n, round(limits.centre, 3)) == ("commissioning", 20, 0.9)
    assert limits.lower < limits.centre < limits.upper
