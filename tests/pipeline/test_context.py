from datetime import UTC, datetime
from pathlib import Path

import pytest

from drawcli.core.jobs.job import Job, State
from drawcli.core.series.crosswalk import Crosswalk, SourceFile
from drawcli.errors import ConfigError, LedgerError, ServerUnavailable, TryLater
from drawcli.pipeline.context import Context, open_context, utc_now
from tests.conftest import NOON, Clock, Site
from tests.fake_draw import FakeDraw

CROSSWALK = Crosswalk(
    series_uid="1.2.826.0.1.999.1",
    study_uid="1.2.826.0.1.999.2",
    patient_id="4711",
    patient_name="Muster^Maria",
    files=(SourceFile("/store/Muster/1.dcm", 1, 1, "1.2.3"),),
)
JOB = Job(id="0123456789ab-1", state=State.MATCHED, since=NOON)


def test_a_context_opens_what_a_run_needs_and_asks_for_no_server(site: Site) -> None:
    with open_context(site.settings(), lambda: NOON) as ctx:
        assert ctx.ledger.jobs() == []
        assert ctx.now() == NOON
        assert len(ctx.stand_ins.key_id) == 8

    assert sorted(path.name for path in site.state.iterdir()) == [".gitignore", "site.key"]


def test_the_present_time_has_a_zone() -> None:
    assert utc_now().tzinfo is UTC
    assert abs((utc_now() - datetime.now(UTC)).total_seconds()) < 5


def test_a_site_without_a_key_is_not_opened(site: Site) -> None:
    (site.state / "site.key").unlink()

    with pytest.raises(ConfigError, match="there is no site key"), open_context(site.settings()):
        pass


def test_a_damaged_ledger_is_told_before_anything_is_done(site: Site) -> None:
    (site.state / "ledger.json").write_bytes(b"half")

    with pytest.raises(LedgerError, match="damaged"), open_context(site.settings()):
        pass


def test_a_kill_between_the_first_vault_and_the_first_entry_of_the_ledger_is_no_dead_end(
    site: Site,
) -> None:
    with open_context(site.settings()) as ctx:
        ctx.seal("0123456789ab-1", CROSSWALK)

    with open_context(site.settings()) as again:
        assert again.ledger.jobs() == []


def test_a_ledger_that_is_gone_is_not_begun_anew(site: Site) -> None:
    with open_context(site.settings()) as ctx:
        ctx.work.write("0123456789ab-1", "package.zip", b"zip")

    with (
        pytest.raises(LedgerError, match="but no ledger") as caught,
        open_context(site.settings()),
    ):
        pass

    assert "from a copy" in caught.value.hint


def test_jobs_that_were_made_with_another_key_are_not_gone_on_with(site: Site) -> None:
    with open_context(site.settings()) as ctx:
        job = Job(id="0123456789ab-1", state=State.FOUND, since=NOON, key_id=ctx.stand_ins.key_id)
        ctx.ledger.add(job)
    with open_context(site.settings()) as ctx:
        assert ctx.ledger.jobs() == [job]

    (site.state / "site.key").write_text("ab" * 32)

    with pytest.raises(ConfigError) as caught, open_context(site.settings()):
        pass
    assert caught.value.code == "site-key"


def test_a_job_is_begun_once_and_its_identity_is_not_overwritten(ctx: Context) -> None:
    job = Job(id="0123456789ab-1", state=State.FOUND, since=NOON)
    other = Crosswalk(
        series_uid="1", study_uid="2", patient_id="", patient_name="", files=CROSSWALK.files
    )

    assert ctx.begin(job, CROSSWALK)
    assert not ctx.begin(job, other)

    assert ctx.crosswalk(job) == CROSSWALK
    with ctx.work.job_lock("ffffffffffff-1"):
        assert (
            ctx.begin(Job(id="ffffffffffff-1", state=State.FOUND, since=NOON), CROSSWALK) is False
        )


def test_a_missing_token_is_told_when_it_is_asked_for(site: Site) -> None:
    site.settings().server.token_file.unlink()

    with open_context(site.settings()) as ctx:
        with pytest.raises(ConfigError, match="there is no token"):
            ctx.tokens.read()
        with pytest.raises(ConfigError, match="there is no token"):
            _ = ctx.server


def test_the_server_is_opened_once_and_closed_with_the_context(site: Site) -> None:
    with open_context(site.settings()) as ctx:
        server = ctx.server
        assert ctx.server is server
        assert not server._client.is_closed

    assert server._client.is_closed


def test_the_server_is_asked_once_a_run_whether_uploads_are_welcome(
    ctx: Context, draw: FakeDraw
) -> None:
    ctx.check_uploads_welcome()
    ctx.check_uploads_welcome()

    assert draw.asked == ["GET /api/health"]


def test_a_server_that_was_not_ready_is_asked_again(ctx: Context, draw: FakeDraw) -> None:
    draw.answers = [503, 503, 503]
    with pytest.raises(ServerUnavailable):
        ctx.check_uploads_welcome()

    ctx.check_uploads_welcome()

    assert draw.asked == ["GET /api/health"] * 4


def test_rules_are_read_once_a_run(ctx: Context, site: Site) -> None:
    first = ctx.rulebook
    (site.folder / "rules.yaml").write_text("broken: [", encoding="utf-8")

    assert ctx.rulebook is first


def test_a_package_is_called_after_the_site_and_the_stand_in(ctx: Context, site: Site) -> None:
    name = ctx.package_name(JOB, CROSSWALK)

    assert name == f"ward-7_{ctx.stand_ins.uid(CROSSWALK.series_uid)}.zip"
    assert CROSSWALK.series_uid not in name
    site.env["DRAWCLI_SERVER__CLIENT_ID"] = ""
    with open_context(site.settings()) as nameless:
        assert nameless.package_name(JOB, CROSSWALK) == name.replace("ward-7", "drawcli")


def test_the_identity_of_a_job_is_sealed_and_opened(ctx: Context, clock: Clock) -> None:
    ctx.seal("0123456789ab-1", CROSSWALK)

    job = Job(id="0123456789ab-1", state=State.FOUND, since=clock.now())

    assert ctx.crosswalk(job) == CROSSWALK
    assert b"Muster" not in Path(ctx.work.file(job.id, "vault")).read_bytes()


def test_a_file_server_that_does_not_answer_is_asked_once_a_run(
    ctx: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def silent(folder: Path, _seconds: float) -> bool:
        asked.append(folder)
        return True

    monkeypatch.setattr("drawcli.adapters.datastore.walk.is_silent", silent)
    ctx.seal("0123456789ab-1", CROSSWALK)
    job = Job(id="0123456789ab-1", state=State.FOUND, since=clock.now())

    for _ in range(3):
        with pytest.raises(TryLater) as caught:
            ctx.images_of(job)

    assert caught.value.code == "datastore-silent"
    assert len(asked) == 1
