"""A new series that was segmented before is held, skipped or sent, as the site wants it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from typer.testing import CliRunner

from drawcli.adapters.state.former_client import read_history
from drawcli.cli.commands import app
from drawcli.core.jobs.job import State
from drawcli.errors import ConfigError
from drawcli.pipeline.actions import release
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from drawcli.pipeline.steps.scan import preview_scan, scan
from tests.conftest import THORAX, Clock, Site, only_job
from tests.phantoms.planning import write_planning_ct
from tests.structure_sets import structure_set


def wanting(ctx: Context, segmented: str, **more: Any) -> Context:
    asked = ctx.settings.scan.replace(segmented=segmented, **more)
    return replace(ctx, settings=ctx.settings.replace(scan=asked))


def contour(pelvis: list[Path], name: str = "RS.dcm", **changes: Any) -> Path:
    """Write a structure set that references the series beside it."""

    def change(dataset: Dataset) -> None:
        dataset.SpecificCharacterSet = "ISO_IR 192"
        for keyword, value in changes.items():
            setattr(dataset, keyword, value)

    path = pelvis[0].with_name(name)
    path.write_bytes(structure_set([dcmread(one) for one in pelvis], ["PTV"], change=change))
    return path


def test_a_series_with_a_structure_set_is_held_with_that_reason(
    ctx: Context, pelvis: list[Path]
) -> None:
    contour(pelvis)

    scan(wanting(ctx, "hold"))

    job = only_job(ctx)
    assert (job.state, job.held, job.reason_code) == (State.WAITING, True, "segmented")
    assert "a structure set in the datastore references" in (job.reason or "")
    assert "scan.segmented" in (job.hint or "")


def test_release_sends_it_once(ctx: Context, pelvis: list[Path]) -> None:
    contour(pelvis)
    scan(wanting(ctx, "hold"))

    ctx.ledger.commit(release(only_job(ctx), ctx))
    scan(wanting(ctx, "hold"))
    run_step("match", ctx, Selection())

    assert only_job(ctx).state is State.MATCHED


def test_skip_makes_no_job_and_counts_the_series(ctx: Context, pelvis: list[Path]) -> None:
    contour(pelvis)
    asked = wanting(ctx, "skip", quiet_minutes=10.0)

    done = scan(asked)

    assert ctx.ledger.jobs() == []
    assert done.ignored == {"segmented": 1, "not-an-image": 1}
    assert [one.verdict.code for one in preview_scan(asked)].count("segmented") == 1


@pytest.mark.parametrize(("then", "state"), [("skip", State.CANCELLED), ("send", State.FOUND)])
def test_a_held_series_follows_the_setting_when_it_changes(
    ctx: Context, pelvis: list[Path], then: str, state: State
) -> None:
    contour(pelvis)
    scan(wanting(ctx, "hold"))
    assert only_job(ctx).held

    scan(wanting(ctx, then))

    assert (only_job(ctx).state, only_job(ctx).held) == (state, False)


def test_a_series_that_was_skipped_is_taken_back_once_its_structure_set_is_gone(
    ctx: Context, pelvis: list[Path]
) -> None:
    made = contour(pelvis)
    scan(wanting(ctx, "hold"))
    skipping = wanting(ctx, "skip")
    scan(skipping)
    skipped = only_job(ctx)

    scan(skipping)
    again = only_job(ctx)
    made.unlink()
    scan(skipping)

    assert (again, skipped.reason_code) == (skipped, "segmented")
    assert only_job(ctx).state is State.FOUND


def test_a_structure_set_alone_holds_nothing_by_default_and_is_counted(
    ctx: Context, pelvis: list[Path]
) -> None:
    contour(pelvis)

    done = scan(ctx)

    assert (only_job(ctx).state, done.contoured) == (State.FOUND, 1)
    assert scan(ctx).contoured == 0


@pytest.mark.parametrize(
    "changes", [{"ReferencedFrameOfReferenceSequence": []}, {"SOPClassUID": "1.2.840.10008.5.1.4"}]
)
def test_a_file_that_references_no_series_changes_nothing(
    ctx: Context, pelvis: list[Path], changes: dict[str, Any]
) -> None:
    contour(pelvis, **changes)

    scan(wanting(ctx, "hold"))

    assert ctx.ledger.jobs()[0].state is State.FOUND


def test_the_structure_set_of_another_series_changes_nothing(
    ctx: Context, site: Site, pelvis: list[Path]
) -> None:
    others = write_planning_ct(site.store / "other", THORAX, slices=6, size=32)
    contour(others)

    scan(wanting(ctx, "hold"))

    codes = sorted(str(job.reason_code) for job in ctx.ledger.jobs())
    assert codes == ["None", "segmented"]
    assert pelvis


def test_a_structure_set_that_is_removed_or_changed_counts_no_more(
    ctx: Context, pelvis: list[Path]
) -> None:
    path = contour(pelvis)
    scan(wanting(ctx, "hold"))
    assert only_job(ctx).held

    path.unlink()
    scan(wanting(ctx, "hold"))

    assert only_job(ctx).state is State.FOUND


def test_what_drawcli_itself_has_delivered_does_not_hold_the_series(
    ctx: Context, pelvis: list[Path]
) -> None:
    for step in ("scan", "match", "deidentify", "upload", "poll", "fetch", "reidentify"):
        run_step(step, ctx, Selection())
    assert only_job(ctx).state is State.DONE

    done = scan(ctx)

    assert (done.jobs, only_job(ctx).state) == ([], State.DONE)
    assert pelvis


def exported(site: Site, *series: tuple[str, str, str]) -> Path:
    """Write an export of series: kind, SeriesInstanceUID, state."""
    path = site.folder / "history.json"
    states = {
        "dicomseries": "series_processsing_status",
        "dicomseriesprocessingmodel": "processing_status",
    }
    records: list[Any] = [
        {
            "model": f"app.{kind}",
            "pk": number,
            "fields": {"series_instance_uid": uid, states[kind]: state, "patient_id": "MUSTER"},
        }
        for number, (kind, uid, state) in enumerate(series)
    ]
    path.write_text(json.dumps(records))
    return path


def import_history(site: Site, path: Path, *more: str) -> str:
    words = ["import-draw-client", str(path), "--history", "-c", str(site.folder / "drawcli.yaml")]
    told = CliRunner().invoke(app, [*words, *more])
    assert told.exit_code == 0, told.output
    return told.output


@pytest.mark.parametrize(
    ("former", "fate"),
    [
        (("dicomseries", "RTSTRUCTURE_EXPORTED"), "done"),
        (("dicomseries", "SENT_TO_DRAW_SERVER"), "under way"),
        (("dicomseries", "RULE_NOT_MATCHED"), "not sent"),
        (("dicomseriesprocessingmodel", "RTSTRUCT_EXPORTED"), "done"),
        (("dicomseriesprocessingmodel", "DEIDENTIFIED"), "under way"),
        (("dicomseriesprocessingmodel", "NO_TEMPLATE_FOUND"), "not sent"),
    ],
)
def test_what_a_former_client_did_is_known(
    ctx: Context, site: Site, pelvis: list[Path], former: tuple[str, str], fate: str
) -> None:
    uid, (kind, state) = str(dcmread(pelvis[0]).SeriesInstanceUID), former

    told = import_history(site, exported(site, (kind, uid, state)))
    done = scan(wanting(ctx, "skip"))
    skipped = ctx.ledger.jobs() == []
    scan(ctx)

    kept = (site.state / "former-client.json").read_text()
    assert uid not in told + kept
    assert "MUSTER" not in told + kept
    assert (skipped, done.ignored["segmented"]) == (fate == "done", int(fate == "done"))
    job = only_job(ctx)
    assert (job.held, job.reason_code == "segmented") == (fate != "not sent",) * 2


def test_a_second_import_adds_to_the_first_and_the_better_outcome_counts(
    ctx: Context, site: Site, pelvis: list[Path]
) -> None:
    uid = str(dcmread(pelvis[0]).SeriesInstanceUID)
    done, left = "RTSTRUCTURE_EXPORTED", "UNPROCESSED"

    import_history(
        site, exported(site, ("dicomseries", uid, done), ("dicomseries", uid, left)), "-n"
    )
    assert not (site.state / "former-client.json").exists()
    import_history(site, exported(site, ("dicomseries", uid, done), ("dicomseries", uid, left)))
    import_history(site, exported(site, ("dicomseries", "1.2.3", done)))

    assert read_history(site.state).counts["series"] == {"delivered": 2}
    assert ctx.stand_ins.key_id in read_history(site.state).series


def test_a_damaged_history_stops_the_scan(ctx: Context, site: Site, pelvis: list[Path]) -> None:
    (site.state / "former-client.json").write_text("{")

    with pytest.raises(ConfigError, match=r"former-client\.json"):
        scan(ctx)

    assert ctx.ledger.jobs() == []
    assert pelvis


def test_a_series_that_waits_is_held_when_it_is_complete(
    ctx: Context, pelvis: list[Path], clock: Clock
) -> None:
    contour(pelvis)
    slow = wanting(ctx, "hold", quiet_minutes=10.0)

    scan(slow)
    first = only_job(ctx)
    clock.advance(minutes=30)
    scan(slow)

    assert (first.held, first.reason_code) == (False, "arriving")
    assert (only_job(ctx).held, only_job(ctx).reason_code) == (True, "segmented")
