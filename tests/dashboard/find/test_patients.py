"""Patients are found by those who may see them, and by nobody else; no address names one."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from drawcli.adapters.state.workdir import VAULT
from drawcli.core.jobs.job import Job
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.dashboard.find.cases import PatientQuery, case_of, case_of_job
from drawcli.dashboard.find.index import PatientIndex
from drawcli.dashboard.snapshot import SiteReader
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from tests.conftest import PELVIS, THORAX, Site
from tests.dashboard.conftest import WORDS, Serve, log_in, token_in
from tests.phantoms.planning import write_planning_ct


def seen_by(client: TestClient) -> PatientIndex:
    """Return the index behind a page, complete."""
    client.get("/patients")
    index: PatientIndex = client.app._app.state.parts.find.patients  # type: ignore[attr-defined]
    index.wait()
    return index


@pytest.fixture
def client(serve: Serve) -> TestClient:
    client = serve(password=WORDS, identify=True)
    log_in(client)
    return client


def searched(client: TestClient, words: str, day: str = "") -> tuple[str, str]:
    """Search as a person does; return the address and the text of the results."""
    seen_by(client)
    token = token_in(client.get("/patients").text)
    answer = client.post("/patients", data={"csrf": token, "words": words, "day": day})
    assert answer.status_code == 303
    return answer.headers["location"], client.get(answer.headers["location"]).text


def crosswalk(name: str, patient_id: str = "SE-1967", **identity: str) -> Crosswalk:
    values = {0x00100030: identity.get("born", ""), 0x00080020: identity.get("studied", ""),
        0x00080050: identity.get("accession", "")}  # fmt: skip
    return Crosswalk(
        series_uid="1.2.3",
        study_uid="1.2",
        patient_id=patient_id,
        patient_name=name.encode().decode("ascii", "surrogateescape"),
        files=(),
        identity={tag: text.encode() for tag, text in values.items()},
        character_set=b"ISO_IR 192",
    )


@pytest.mark.parametrize(
    ("query", "day", "is_found"),
    [
        ("lindqvist", "", True),
        ("ASA lindq", "", True),
        ("Lindqvíst^Åsa", "", True),
        ("Åsa, Lindqvist", "", True),
        ("aasa", "", True),
        ("1967", "", True),
        ("a-4711", "", True),
        ("12.03.1967", "", True),
        ("1967-03-12 lind", "", True),
        ("", "1967-03-12", True),
        ("", "2026-11-02", True),
        ("lindqvist", "2026-11-03", False),
        ("lindqvist erik", "", False),
        ("13.03.1967", "", False),
    ],
)
def test_a_search_forgives_case_accents_order_and_parts(
    ctx: Context, query: str, day: str, *, is_found: bool
) -> None:
    known = crosswalk("Lindqvíst^Åsa", born="19670312", studied="20261102", accession="A-4711")

    assert case_of("a-1", known, ctx).matches(PatientQuery.of(query, day)) is is_found


def test_keys_are_of_this_site_and_tell_nothing(ctx: Context) -> None:
    one, other = case_of("a-1", crosswalk("A"), ctx), case_of("b-1", crosswalk("B"), ctx)
    without = [case_of("c-1", crosswalk(name, ""), ctx) for name in ("A", "B")]

    assert (one.patient, one.study) == (other.patient, other.study)
    assert one.patient != ctx.stand_ins.pseudonym("SE-1967")
    assert len({one.patient, one.study, without[0].patient}) == 3
    assert "1967" not in one.patient + one.study


def test_a_patient_is_found_and_no_address_or_title_says_who(
    client: TestClient, home: Job, ctx: Context
) -> None:
    place, page = searched(client, PELVIS.patient_id.lower())
    case = case_of_job(home, ctx)
    assert case is not None

    texts = [page, client.get(f"/patients/{case.patient}").text]
    texts.append(client.get(f"/patients/study/{case.study}").text)
    job = client.get(f"/jobs/{home.id}").text

    assert "1 patient" in page
    assert f'href="/patients/{case.patient}"' in page
    assert f'href="/patients/{case.patient}"' in job
    assert f'href="/patients/study/{case.study}"' in texts[1]
    for text in texts:
        assert PELVIS.patient_id in text
        assert PELVIS.patient_id not in text.partition("</title>")[0]
        assert home.id in text
    assert "delivered" in texts[2].partition("Timeline")[2]
    for address in (place, case.patient, case.study):
        assert PELVIS.patient_id.lower() not in address.lower()


def test_a_series_that_is_not_packaged_is_found_by_what_its_images_say(
    client: TestClient, ctx: Context, pelvis: list[Path]
) -> None:
    assert pelvis
    run_step("scan", ctx, Selection())
    (job,) = ctx.ledger.jobs()
    assert not ctx.crosswalk(job).identity

    cases = seen_by(client).find(PatientQuery.of(PELVIS.patient_id))

    assert len(cases) == 1
    assert cases[0].study_date
    assert job.id in searched(client, "", cases[0].study_date)[1]


def test_without_the_right_there_is_no_patient_page(serve: Serve, home: Job, ctx: Context) -> None:
    client = serve(password=WORDS, allow_actions=True)
    log_in(client)
    case = case_of_job(home, ctx)
    assert case is not None

    places = ("/patients", f"/patients/{case.patient}", f"/patients/study/{case.study}")
    for place in (*places, "/patients/found/x"):
        answer = client.get(place)
        assert (answer.status_code, PELVIS.patient_id in answer.text) == (403, False), place
    token = token_in(client.get("/").text)
    posted = client.post("/patients", data={"csrf": token, "words": PELVIS.patient_id})
    page = client.get("/").text

    assert posted.status_code == 403
    assert 'href="/patients"' not in page
    assert f"/patients/{case.patient}" not in client.get(f"/jobs/{home.id}").text


def test_the_search_of_another_session_is_not_shown(client: TestClient, home: Job) -> None:
    assert home.delivered_sha256
    place, page = searched(client, "a search of mine")
    client.cookies.clear()
    log_in(client)

    answer = client.get(place)

    assert "a search of mine" in page
    assert (answer.status_code, answer.headers["location"]) == (303, "/patients")


def test_the_index_follows_the_vaults(
    client: TestClient, home: Job, ctx: Context, site: Site
) -> None:
    assert seen_by(client).size == 1
    write_planning_ct(site.store / "more", THORAX, slices=6, size=32, seed=2)
    run_step("scan", ctx, Selection())
    index = seen_by(client)
    both = index.size
    ctx.work.file(home.id, VAULT).unlink()
    ctx.work.remove(home.id)
    ctx.ledger.commit(home)  # as any change
    index = seen_by(client)

    assert both == 2
    assert [case.job == home.id for case in index.newest(9)] == [False]


def test_a_damaged_vault_is_left_out(client: TestClient, home: Job, ctx: Context) -> None:
    ctx.work.file(home.id, VAULT).write_bytes(b"drawcli vault 1\nnonsense")

    index = seen_by(client)

    assert index.size == 0
    assert not index.progress.is_building


def test_nothing_of_the_index_is_on_disk(client: TestClient, home: Job, site: Site) -> None:
    assert home.delivered_sha256
    before = {path for path in site.state.rglob("*") if path.is_file()}
    searched(client, PELVIS.patient_id)
    after = {path for path in site.state.rglob("*") if path.is_file()}

    assert after == before
    assert not any(PELVIS.patient_id.encode() in path.read_bytes() for path in after)


def test_the_index_is_bounded_to_the_newest(
    ctx: Context, site: Site, home: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drawcli.dashboard.find.index.MOST_SERIES", 1)
    folder = ctx.work.folder("feedfacecafe-1")
    ctx.vault.seal(folder, "feedfacecafe-1", crosswalk("Doe^Jane"))
    index = PatientIndex(SiteReader(ctx, lambda: None, site.config))  # type: ignore[arg-type, return-value] # not opened again

    index.follow()
    index.wait()

    assert home.id != "feedfacecafe-1"
    assert [case.job for case in index.newest(9)] == ["feedfacecafe-1"]
    assert index.progress.is_cut
