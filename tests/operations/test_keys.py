"""A key is retired, a vault is lost: everything comes home all the same, and nothing goes twice."""

import contextlib
import os
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import UID

from drawcli.adapters.state.site_key import read_site_key, retired_keys
from drawcli.adapters.state.workdir import VAULT
from drawcli.core.jobs.job import Job, State
from drawcli.errors import ConfigError, NeedsPerson, UsageError
from drawcli.operations.keys import back_up, jobs_by_key, rebuild, restore, rotate
from drawcli.pipeline.context import Context, open_context
from drawcli.pipeline.runner import Selection, run_once, run_step
from tests.conftest import HEAD_NECK, PELVIS, SLICES, Clock, Site, opened
from tests.fake_draw import FakeDraw
from tests.phantoms.planning import write_planning_ct

OUT = ("scan", "match", "deidentify", "upload")
HOME = ("poll", "fetch", "reidentify")


def steps(ctx: Context, *names: str) -> Job:
    for name in names:
        run_step(name, ctx, Selection())
    (job,) = ctx.ledger.jobs()
    return job


def vault_of(ctx: Context, job: Job) -> Path:
    return ctx.work.file(job.id, VAULT)


@pytest.mark.parametrize("until", range(len(OUT) + 1), ids=("new", *OUT))
def test_a_series_comes_home_whenever_the_key_is_rotated(
    site: Site, pelvis: list[Path], draw: FakeDraw, clock: Clock, until: int
) -> None:
    with opened(site, draw, clock) as ctx:
        for name in OUT[:until]:
            run_step(name, ctx, Selection())
        rotate(ctx)

    with opened(site, draw, clock) as ctx:
        job = steps(ctx, *OUT[until:], *HOME)

    assert job.state is State.DONE
    assert len(draw.uploads) == 1
    (delivered,) = site.store.rglob("RS.*")
    assert dcmread(delivered).PatientName == dcmread(pelvis[0]).PatientName


@pytest.mark.usefixtures("pelvis")
def test_a_series_that_was_sent_is_not_sent_again_under_a_new_key(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    with opened(site, draw, clock) as ctx:
        steps(ctx, *OUT, *HOME)
        rotate(ctx)
    write_planning_ct(site.store / "other", HEAD_NECK, slices=SLICES, size=32, seed=2)

    with opened(site, draw, clock) as ctx:
        list(run_once(ctx, Selection()))
        jobs = {job.id: job for job in ctx.ledger.jobs()}
        counts, today = jobs_by_key(ctx), ctx.stand_ins.key_id

    assert len(draw.uploads) == 2
    assert len(jobs) == 2
    assert counts == {job.key_id: 1 for job in jobs.values()}
    assert next(iter(counts)) == today


@pytest.mark.usefixtures("pelvis")
def test_the_same_patient_is_another_under_a_new_key(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    with opened(site, draw, clock) as ctx:
        first = ctx.crosswalk(steps(ctx, *OUT[:3])).pseudonym
        rotate(ctx)
    write_planning_ct(site.store / "later", PELVIS, slices=SLICES + 1, size=32, seed=9)

    with opened(site, draw, clock) as ctx:
        for name in OUT[:3]:
            run_step(name, ctx, Selection())
        pseudonyms = {ctx.crosswalk(job).pseudonym for job in ctx.ledger.jobs()}

    assert first in pseudonyms
    assert len(pseudonyms) == 2


@pytest.mark.usefixtures("pelvis")
def test_every_vault_is_sealed_with_the_new_key(
    ctx: Context, site: Site, draw: FakeDraw, clock: Clock
) -> None:
    job = steps(ctx, *OUT)
    before = ctx.crosswalk(job)
    old = read_site_key(site.state)

    done = rotate(ctx)

    assert (done.retired, done.sealed_anew, done.left) == (ctx.stand_ins.key_id, 1, ())
    assert done.key_id.encode() in vault_of(ctx, job).read_bytes()[:32]
    assert retired_keys(site.state) == {ctx.stand_ins.key_id: old}
    assert read_site_key(site.state) != old
    with opened(site, draw, clock) as again:
        assert again.crosswalk(job) == before


@pytest.mark.usefixtures("pelvis")
def test_a_vault_at_which_a_step_is_at_work_is_left_and_done_the_next_time(
    ctx: Context, site: Site, draw: FakeDraw, clock: Clock
) -> None:
    job = steps(ctx, *OUT)
    with ctx.work.job_lock(job.id):
        done = rotate(ctx)
    assert done.left == (job.id,)

    with opened(site, draw, clock) as again:
        assert again.crosswalk(job).series_uid
        finished = rotate(again)

    assert (finished.key_id, finished.retired, finished.sealed_anew) == (done.key_id, None, 1)


class Cut(BaseException):
    """The process dies here."""


@pytest.mark.parametrize(
    "after", [pytest.param(at, marks=[pytest.mark.sweep] if at % 4 else []) for at in range(14)]
)
@pytest.mark.usefixtures("pelvis")
def test_a_rotation_may_be_cut_off_anywhere(
    site: Site,
    draw: FakeDraw,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
) -> None:
    with opened(site, draw, clock) as ctx:
        steps(ctx, *OUT)
        _cut_after(after, monkeypatch)
        with contextlib.suppress(Cut):
            rotate(ctx)
        monkeypatch.undo()

    with opened(site, draw, clock) as ctx:
        rotate(ctx)
    with opened(site, draw, clock) as ctx:
        job = steps(ctx, *HOME)
        current = ctx.vault.is_current(vault_of(ctx, job).parent)

    assert job.state is State.DONE
    assert len(draw.uploads) == 1
    assert current
    assert len(retired_keys(site.state)) in (1, 2)  # 2 where the first was whole in effect


def _cut_after(effects: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process die at the n-th fsync or rename from now."""
    left = effects

    def cut(real: object) -> object:
        def call(*args: object, **more: object) -> object:
            nonlocal left
            if left == 0:
                raise Cut
            left -= 1
            return real(*args, **more)  # type: ignore[operator] # any function of os

        return call

    monkeypatch.setattr(os, "fsync", cut(os.fsync))
    monkeypatch.setattr(os, "replace", cut(os.replace))
    monkeypatch.setattr(os, "rename", cut(os.rename))


@pytest.mark.usefixtures("pelvis")
def test_without_the_retired_key_nothing_is_sent(site: Site, draw: FakeDraw, clock: Clock) -> None:
    with opened(site, draw, clock) as ctx:
        steps(ctx, *OUT)
        rotate(ctx)
    (retired,) = site.state.glob("site.key.*")
    retired.unlink()

    with (
        pytest.raises(ConfigError, match="made with another site key"),
        open_context(site.settings()),
    ):
        pass


@pytest.mark.parametrize("damage", ["others", "half"])
@pytest.mark.usefixtures("pelvis")
def test_a_retired_key_is_checked_as_that_of_today(ctx: Context, site: Site, damage: str) -> None:
    steps(ctx, "scan")
    rotate(ctx)
    (retired,) = site.state.glob("site.key.*")
    if damage == "others":
        retired.chmod(0o644)
    else:
        retired.write_bytes(retired.read_bytes()[:20])

    with pytest.raises(ConfigError, match=retired.name), open_context(site.settings()):
        pass


def test_a_backup_brings_every_key_back(ctx: Context, site: Site, tmp_path: Path) -> None:
    steps_key = read_site_key(site.state)
    rotate(ctx)
    key, retired = read_site_key(site.state), retired_keys(site.state)
    back_up(tmp_path / "keys.txt", key, retired, [site.state])
    for path in site.state.glob("site.key*"):
        path.unlink()

    restore(tmp_path / "keys.txt", site.state)

    assert read_site_key(site.state) == key
    assert list(retired_keys(site.state).values()) == [steps_key]
    assert (tmp_path / "keys.txt").stat().st_mode & 0o077 == 0


def test_a_backup_does_not_overwrite_a_key(ctx: Context, site: Site, tmp_path: Path) -> None:
    back_up(tmp_path / "keys.txt", bytes(range(32)), {}, [])

    with pytest.raises(ConfigError, match="not overwritten"):
        restore(tmp_path / "keys.txt", site.state)

    assert read_site_key(site.state) != bytes(range(32))
    assert ctx.stand_ins.key_id


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:0],
        lambda text: text[:-10],
        lambda text: text.replace("key ", "retired "),
        lambda text: text + "more\n",
        lambda text: text.replace("0", "1"),
        lambda text: text + text.splitlines()[-1] + "\n",
    ],
)
def test_a_damaged_backup_changes_nothing(tmp_path: Path, change: object) -> None:
    backup = tmp_path / "keys.txt"
    back_up(backup, bytes(range(32)), {}, [])
    backup.write_text(change(backup.read_text()))  # type: ignore[operator] # one of the above

    with pytest.raises(ConfigError, match="not an intact backup"):
        restore(backup, tmp_path / "state")

    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("place", ["state/keys", "store/keys", "git/keys", "there", "no/keys"])
def test_a_backup_is_not_put_where_it_could_leak(tmp_path: Path, place: str) -> None:
    for folder in ("state", "store", "git/.git"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "there").write_text("mine")

    with pytest.raises(UsageError):
        back_up(tmp_path / place, bytes(32), {}, [tmp_path / "state", tmp_path / "store"])

    assert (tmp_path / "there").read_text() == "mine"


@pytest.mark.parametrize("until", [1, 2, 3, 4], ids=OUT)
@pytest.mark.parametrize("damage", ["gone", "half"])
def test_a_lost_vault_is_rebuilt_as_it_was(
    ctx: Context, site: Site, pelvis: list[Path], until: int, damage: str
) -> None:
    job = steps(ctx, *OUT[:until])
    before = ctx.crosswalk(job)
    vault = vault_of(ctx, job)
    vault.write_bytes(vault.read_bytes()[:50]) if damage == "half" else vault.unlink()

    rebuild(job, ctx)

    assert ctx.crosswalk(job) == before
    assert steps(ctx, *OUT[until:], *HOME).state is State.DONE
    (delivered,) = site.store.rglob("RS.*")
    assert dcmread(delivered).PatientID == dcmread(pelvis[0]).PatientID


@pytest.mark.usefixtures("pelvis")
def test_a_vault_of_a_retired_key_is_rebuilt_with_that_key(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    with opened(site, draw, clock) as ctx:
        job = steps(ctx, *OUT)
        before = ctx.crosswalk(job)
        rotate(ctx)
    with opened(site, draw, clock) as ctx:
        vault_of(ctx, job).unlink()

        rebuild(job, ctx)

        assert ctx.crosswalk(job) == before


@pytest.mark.usefixtures("pelvis")
def test_a_vault_that_is_there_is_not_rebuilt(ctx: Context) -> None:
    job = steps(ctx, *OUT)

    with pytest.raises(UsageError, match="nothing to rebuild"):
        rebuild(job, ctx)


@pytest.mark.parametrize("change", ["gone", "one more", "one less", "other header"])
def test_a_vault_is_not_rebuilt_from_other_images(
    ctx: Context, pelvis: list[Path], change: str
) -> None:
    job = steps(ctx, *OUT)
    vault_of(ctx, job).unlink()
    if change == "gone":
        for path in pelvis:
            path.unlink()
    elif change == "one less":
        pelvis[0].unlink()
    else:
        one = dcmread(pelvis[0])
        if change == "one more":
            one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
        one.KVP = "121"  # for 120: as many bytes
        one.save_as(pelvis[0].with_name("more.dcm") if change == "one more" else pelvis[0])

    with pytest.raises(NeedsPerson, match="cannot be rebuilt"):
        rebuild(job, ctx)

    assert not vault_of(ctx, job).exists()
    assert not list(vault_of(ctx, job).parent.glob(".*"))
