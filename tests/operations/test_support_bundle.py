"""The archive for whoever helps holds nothing of a patient, or is not written."""

import json
import re
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from drawcli.adapters.state.qa_records import QaRatings
from drawcli.core.jobs.job import Job, State
from drawcli.errors import ConfigError, UsageError
from drawcli.operations import support_bundle_search
from drawcli.operations.doctor.outcome import CheckContext as Looked
from drawcli.operations.doctor.outcome import CheckResult, Outcome
from drawcli.operations.support_bundle import write_bundle
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from tests.conftest import NOON, PELVIS, Site
from tests.core.qa.test_ratings import RATING

WELL = [Outcome("settings", CheckResult.well("all well"))]


@pytest.fixture
def looked(site: Site, ctx: Context, pelvis: list[Path]) -> Looked:
    """Return a site that has packaged the series of a patient, with a log."""
    assert pelvis
    for step in ("scan", "match", "deidentify"):
        run_step(step, ctx, Selection())
    log = site.state / "logs" / "drawcli.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("2026-11-14 12:00:00,000 INFO drawcli.pipeline.runner step=scan outcome=found\n")
    return Looked(settings=site.settings(), config=site.config, now=NOON, ctx=ctx)


def log_line(site: Site, words: str) -> None:
    with (site.state / "logs" / "drawcli.log").open("a", encoding="utf-8") as stream:
        stream.write(f"2026-11-14 12:00:01,000 INFO drawcli.pipeline.runner {words}\n")


def members(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as whole:
        return {name: whole.read(name).decode("utf-8") for name in whole.namelist()}


def refused(looked: Looked, target: Path, outcomes: list[Outcome] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        write_bundle(target, looked, outcomes or WELL)
    assert not target.exists()
    assert not list(target.parent.glob(f".{target.name}*"))
    assert caught.value.code == "bundle-refused"
    return caught.value


def test_it_tells_what_helps_and_for_whom_it_was_searched(looked: Looked, tmp_path: Path) -> None:
    names = write_bundle(tmp_path / "b.zip", looked, WELL)

    whole = members(tmp_path / "b.zip")
    (job,) = json.loads(whole["jobs.json"])
    assert names == list(whole)
    assert job["state"] == "packaged"
    assert json.loads(whole["doctor.json"])[0]["text"] == "all well"
    assert "outcome=found" in whole["log.txt"]
    assert "Jobs searched for: 1." in whole["README.txt"]
    assert (tmp_path / "b.zip").stat().st_mode & 0o077 == 0


def test_nothing_of_the_patient_is_in_any_member(
    looked: Looked, ctx: Context, tmp_path: Path, pelvis: list[Path]
) -> None:
    write_bundle(tmp_path / "b.zip", looked, WELL)

    text = "\n".join(members(tmp_path / "b.zip").values()).casefold()
    crosswalk = ctx.crosswalk(ctx.ledger.jobs()[0])
    canaries = [*PELVIS.name.replace("=", "^").split("^"), PELVIS.patient_id, pelvis[0].name]
    canaries += [crosswalk.series_uid, crosswalk.study_uid, *crosswalk.uids.values()]
    canaries += [*crosswalk.uids, crosswalk.pseudonym]
    assert [one for one in canaries if len(one) > 2 and one.casefold() in text] == []


def test_no_path_and_no_secret_of_the_site_is_in_it(
    looked: Looked, site: Site, tmp_path: Path
) -> None:
    path = str(site.folder)
    told = [Outcome("datastore", CheckResult.failed(f"{site.store} is away", f"ls '{path}'"))]
    log_line(site, f'File "{site.state}/x.py", line 7, in scan')
    (site.folder / "token.json").write_text('{"access_token": "s3cret", "refresh_token": "t0p"}')

    write_bundle(tmp_path / "b.zip", looked, told)

    text = "\n".join(members(tmp_path / "b.zip").values())
    assert path not in text
    assert "<datastore 1> is away" in text
    assert "<state_dir>/x.py" in text
    assert "s3cret" not in text
    assert "t0p" not in text


def test_a_path_with_what_json_escapes_is_masked(looked: Looked, tmp_path: Path) -> None:
    odd = Path('/mnt/ward "7"\\ct')
    settings = looked.settings.replace(datastore=[odd])
    told = [Outcome("datastore", CheckResult.failed(f"{odd} is away", "ls"))]

    write_bundle(tmp_path / "b.zip", looked._replace(settings=settings), told)

    assert "ward" not in members(tmp_path / "b.zip")["doctor.json"]


def canary(kind: str, looked: Looked) -> str:
    assert looked.ctx is not None
    crosswalk = looked.ctx.crosswalk(looked.ctx.ledger.jobs()[0])
    file = Path(crosswalk.files[0].path)
    return {
        "name": f"cannot read {PELVIS.name.split('^')[0]}",
        "name, otherwise written": PELVIS.name.split("^")[0].lower(),
        "id": f"patient {PELVIS.patient_id}",
        "id, grouped": PELVIS.patient_id.replace("-", " "),
        "series UID": crosswalk.series_uid,
        "image UID": f"[{crosswalk.files[-1].sop_uid}]",
        "birth day": f"born {date.fromisoformat(PELVIS.birth_date)}",
        "file name": file.name,
        "folder": f"in {file.parent}",
    }[kind]


KINDS = [
    *("name", "name, otherwise written", "id", "id, grouped", "series UID", "image UID"),
    *("birth day", "file name", "folder"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_log_line_that_says_something_of_a_patient_makes_it_refuse(
    looked: Looked, site: Site, tmp_path: Path, kind: str
) -> None:
    said = canary(kind, looked)
    log_line(site, said)

    err = refused(looked, tmp_path / "b.zip")

    assert str(err).startswith("log.txt would hold ")
    assert said not in f"{err} {err.hint}"


@pytest.mark.parametrize("kind", ["name", "series UID"])
def test_so_does_a_word_of_doctor_or_of_the_server(
    looked: Looked, ctx: Context, tmp_path: Path, kind: str
) -> None:
    said = canary(kind, looked)
    by_doctor = refused(
        looked, tmp_path / "b.zip", [Outcome("server", CheckResult.failed(said, "look"))]
    )
    job = ctx.ledger.jobs()[0]
    ctx.ledger.commit(replace(job, reason=f"the server says {said}", reason_code="server"))
    by_server = refused(looked, tmp_path / "b.zip")

    assert str(by_doctor).startswith("doctor.json would hold ")
    assert str(by_server).startswith("jobs.json would hold ")


def test_words_that_a_person_wrote_into_the_settings_stay_at_home(
    looked: Looked, site: Site, tmp_path: Path
) -> None:
    site.add_line("deidentify: {retain: {StationName: 'asked for by KULKARNEE'}}")
    site.add_line("deliver: {description: 'KULKARNEE {date}'}")

    write_bundle(tmp_path / "b.zip", looked._replace(settings=site.settings()), WELL)

    assert "kulkarnee" not in members(tmp_path / "b.zip")["settings.json"].casefold()


def test_lines_of_code_in_a_traceback_stay_at_home(
    looked: Looked, site: Site, tmp_path: Path
) -> None:
    log = site.state / "logs" / "drawcli.log"
    log.write_text('Traceback\n  File "a.py", line 3, in scan\n    raise ValueError("secret")\n')

    write_bundle(tmp_path / "b.zip", looked, WELL)

    assert members(tmp_path / "b.zip")["log.txt"] == 'Traceback\n  File "a.py", line 3, in scan'


def test_a_vault_that_does_not_open_is_counted_as_not_searched_for(
    looked: Looked, ctx: Context, tmp_path: Path
) -> None:
    (ctx.work.folder(ctx.ledger.jobs()[0].id) / "vault").write_bytes(b"noise")

    write_bundle(tmp_path / "b.zip", looked, WELL)

    assert (
        "Jobs of which nothing is known any more: 1." in members(tmp_path / "b.zip")["README.txt"]
    )


def test_no_file_is_overwritten(looked: Looked, tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_text("mine")

    with pytest.raises(UsageError):
        write_bundle(tmp_path / "b.zip", looked, WELL)

    assert (tmp_path / "b.zip").read_text() == "mine"


def test_counts_and_ids_of_our_own_are_no_patient_s_number(
    looked: Looked, site: Site, in_state: Callable[..., Job], tmp_path: Path
) -> None:
    in_state(State.UNMATCHED, "7734021aaaaa-1")
    (site.state / "runs.jsonl").write_text('{"exit_code": 7734021, "counts": {"found": 7734021}}')

    assert write_bundle(tmp_path / "b.zip", looked, WELL)


def test_the_texts_are_made_ready_once_however_many_patients_there_are(
    looked: Looked, ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    whole = support_bundle_search.Haystack.of

    def counted(texts: Iterable[str]) -> support_bundle_search.Haystack:
        made.append(1)
        return whole(texts)

    monkeypatch.setattr(support_bundle_search.Haystack, "of", counted)
    once = ctx.vault.open(ctx.work.folder(ctx.ledger.jobs()[0].id), ctx.ledger.jobs()[0].id)
    for number in range(5):
        job = replace(ctx.ledger.jobs()[0], id=f"{number:012x}-1")
        ctx.ledger.add(job)
        ctx.seal(job.id, once)

    names = write_bundle(tmp_path / "b.zip", looked, WELL)

    assert len(made) == len(names) - 1  # all but the README
    assert "Jobs searched for: 6." in members(tmp_path / "b.zip")["README.txt"]


def with_id(ctx: Context, patient_id: str) -> None:
    """Let the patient of the site have another id."""
    (job,) = ctx.ledger.jobs()
    crosswalk = ctx.crosswalk(job)
    identity = {**crosswalk.identity, 0x00100020: patient_id.encode("utf-8")}
    raw = patient_id.encode("utf-8").decode("ascii", "surrogateescape")
    ctx.seal(job.id, crosswalk._replace(patient_id=raw, identity=identity))


@pytest.mark.parametrize("number", ["200", "404", "1024", "11112", "00200", "٢٠٠"])
def test_a_patient_whose_id_is_a_common_number_keeps_no_site_from_it(
    looked: Looked, site: Site, ctx: Context, tmp_path: Path, number: str
) -> None:
    with_id(ctx, number)
    for words in (f"HTTP {number}", f"slices={number}", f"patient {number}", f"a_{number}_b"):
        log_line(site, words)
    log_line(site, "step=fetch seconds=12.5 outcome=fetched")
    job = ctx.ledger.jobs()[0]
    ctx.ledger.commit(replace(job, reason=f"{number} slices, not 12", reason_code="x", slices=200))
    run = {"words": f"saw {number}", "counts": {"found": 200}}
    (site.state / "runs.jsonl").write_text(json.dumps(run) + "\n")

    write_bundle(
        tmp_path / "b.zip", looked, [Outcome("server", CheckResult.failed(f"{number} s", "x"))]
    )

    whole = members(tmp_path / "b.zip")
    (job_told,), (seen,) = json.loads(whole["jobs.json"]), json.loads(whole["doctor.json"])
    texts = [*whole["log.txt"].splitlines(), whole["README.txt"], job_told["reason"], seen["text"]]
    texts.append(json.loads(whole["runs.jsonl"])["words"])
    assert [one for one in texts if re.search(rf"(?<!\d){number}(?!\d)", one)] == []
    assert job_told["reason"] == "<number> slices, not 12"
    assert job_told["slices"] == 200  # our own count, in no text
    assert "seconds=12.5 outcome=fetched" in whole["log.txt"]
    assert whole["log.txt"].startswith("2026-11-14 12:00:00,000 INFO")


@pytest.mark.parametrize("said", ["id 773402", "id 77 34 02", "(773402)", "MRN773402"])
def test_a_longer_number_is_no_chance_and_it_is_refused(
    looked: Looked, site: Site, ctx: Context, tmp_path: Path, said: str
) -> None:
    with_id(ctx, "773402")
    log_line(site, said)

    err = refused(looked, tmp_path / "b.zip")

    assert str(err).startswith("log.txt would hold ")


def test_a_number_within_a_longer_one_is_another_number(
    looked: Looked, site: Site, ctx: Context, tmp_path: Path
) -> None:
    with_id(ctx, "773402")
    log_line(site, "bytes=47734021")

    assert write_bundle(tmp_path / "b.zip", looked, WELL)


def test_ratings_with_their_comments_stay_at_home(
    looked: Looked, site: Site, tmp_path: Path
) -> None:
    QaRatings(site.state).add([replace(RATING, comment="a colleague of hers")])
    write_bundle(tmp_path / "b.zip", looked, WELL)

    text = "\n".join(members(tmp_path / "b.zip").values())
    assert "a colleague" not in text
    assert RATING.by not in text
