"""Whatever goes wrong at the server, once: every series comes home once, or is held with a reason.

Each fault at each endpoint where it makes sense, against a sandbox on loopback, with each kind of
target; runs as cron would start them, twenty minutes apart. The server counts the requests, a node
and an archive what they are sent.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.filereader import read_dataset
from pydicom.uid import ImplicitVRLittleEndian

from drawcli.core.jobs.job import Job, State
from drawcli.errors import DrawcliError
from drawcli.pipeline.context import open_context
from drawcli.pipeline.runner import Selection, run_once
from drawcli.sandbox.faults import FIRST, INSTEAD, Panel, read_faults
from drawcli.sandbox.options import SandboxOptions
from drawcli.sandbox.server import Running, running
from drawcli.sandbox.tasks import Status
from tests.conftest import PELVIS, THORAX, Clock, Site
from tests.dicom_peer import Peer, listening
from tests.phantoms.planning import write_planning_ct
from tests.waiting import PATIENCE
from tests.web_archive import WebArchive, archive

LATE = ("stall", "drip")  # the faults that end with a timeout
CODES = ("400", "401", "403", "404", "408", "413", "429/30s", "500", "502", "503", "504")
ON_THE_WAY_BACK = ("lost", "length", "truncate", "twice")
OF_JSON = ("keys", "extra")
OF_STATUS = ("word", "failed")
OF_RTSTRUCT = ("checksum", "no-checksum", "partial", "foreign", "patient", "junk")
MATRIX = [
    *(
        f"{endpoint}:{what}"
        for endpoint in ("health", "upload", "status", "rtstruct", "confirm")
        for what in (*CODES, *INSTEAD, *ON_THE_WAY_BACK, *FIRST)
    ),
    *(f"{e}:{what}" for e in ("health", "upload", "status", "confirm") for what in OF_JSON),
    *(f"status:{what}" for what in OF_STATUS),
    *(f"rtstruct:{what}" for what in OF_RTSTRUCT),
]
# What a fault, once, leaves in the end where that is not a structure set at home.
HELD = {
    "upload:400": "server-refused-job",
    "upload:413": "server-refused-job",
    "status:400": "server-refused-job",
    "status:403": "endpoint",
    "status:413": "server-refused-job",
    "status:failed": "segmentation-failed",
    "rtstruct:400": "server-refused-job",
    "rtstruct:403": "endpoint",
    "rtstruct:413": "server-refused-job",
    "rtstruct:json": "not-dicom",
    "rtstruct:foreign": "foreign-series",
    "rtstruct:patient": "foreign-patient",
    "rtstruct:junk": "not-dicom",
    "rtstruct:forget": "result-missing",
    "confirm:400": "server-refused-job",
    "confirm:403": "endpoint",
    "confirm:413": "server-refused-job",
}
# The short form: all that holds a job, and every third of the others.
# A refresh that an upload needs: what delays it, and what leaves the new pair with nobody.
RENEWED_LATER = ("401", "429/30s", "500", "html", "drop", "stall", "drip", "redirect")
NEVER_RENEWED = ("lost", "truncate", "keys")
LONG = int(os.environ.get("TORTURE", "1")) > 1
TRIED = MATRIX if LONG else [one for n, one in enumerate(MATRIX) if n % 5 == 0 or one in HELD]
# The other kinds of targets: in the short form what concerns the way back, and some of the others.
BACK = ("rtstruct:truncate", "rtstruct:forget", "confirm:400", "confirm:lost", "confirm:500")
ELSEWHERE = MATRIX if LONG else [*BACK, *(one for n, one in enumerate(MATRIX) if n % 23 == 0)]
MOST_REQUESTS = 24  # of a whole cycle with one fault in it; without one it is five
MOST_UPLOADS = 3
RUNS = 14


@dataclass
class Told:
    """How a series fared, as far as the world can see."""

    jobs: list[Job] = field(default_factory=list)
    delivered: list[Dataset] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)  # of whole runs
    runs: int = 0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@dataclass(frozen=True)
class Place:
    """Where structure sets go."""

    settings: str
    delivered: Callable[[], list[Dataset]]


def in_folder(site: Site) -> Place:
    return Place("", lambda: [dcmread(path) for path in site.store.rglob("RS.*")])


@pytest.fixture
def place(request: pytest.FixtureRequest, site: Site) -> Iterator[Place]:
    """Return a target of the kind that a test is parametrized with."""
    kind = getattr(request, "param", "folder")
    if kind == "folder":
        yield in_folder(site)
    elif kind == "node":
        with listening(Peer(), coded=ImplicitVRLittleEndian) as peer:
            yield Place(
                f"deliver: {{targets: [{{node: 'TPS@127.0.0.1:{peer.port}'}}]}}\n",
                lambda: [
                    read_dataset(BytesIO(one), is_implicit_VR=True, is_little_endian=True)
                    for one in peer.received
                ],
            )
    else:
        with archive(WebArchive()) as web:
            yield Place(
                f"deliver: {{targets: [{{stow: '{web.url}'}}]}}\n",
                lambda: [dcmread(BytesIO(one)) for one in web.received],
            )


def cycle(
    site: Site, clock: Clock, server: Running, runs: int = RUNS, place: Place | None = None
) -> Told:
    """Run as cron would until the series is home, or held; wait for the server in between."""
    place = place or in_folder(site)
    token = site.folder / "token.json"
    token.write_bytes(server.token_file.read_bytes())
    token.chmod(0o600)
    told = Told()
    for _ in range(runs):
        told.runs += 1
        seconds = 1.0 if is_late(server.sandbox.panel) else PATIENCE
        site.config.write_text(
            "datastore: store\nstate_dir: state\nscan: {quiet_minutes: 0}\n"
            f"server: {{url: '{server.url}', timeout_seconds: {seconds}}}\n{place.settings}"
        )
        with open_context(site.settings(), clock.now) as ctx:
            ctx.server.pause = lambda _seconds: None
            try:
                list(run_once(ctx, Selection()))
            except DrawcliError as err:
                told.errors.append(f"{err.exit_code} {err.code}")
            told.jobs = list(ctx.ledger.jobs())
        if told.jobs and all(job.held or job.state is State.DONE for job in told.jobs):
            break
        wait_for(server)
        clock.advance(minutes=20)
    told.delivered = place.delivered()
    return told


def is_late(panel: Panel) -> bool:
    """Return whether a request may still end with a timeout; then all have little time."""
    faults = zip(panel._faults, panel._left, strict=True)
    return any(fault.what in LATE and left != 0 for fault, left in faults)


@pytest.fixture
def told(site: Site, pelvis: list[Path], clock: Clock, wrong: Running, place: Place) -> Told:
    """Return how one series fared with the faults that a test is parametrized with."""
    assert pelvis
    return cycle(site, clock, wrong, place=place)


def wait_for(server: Running) -> None:
    while any(
        task.status in (Status.PENDING, Status.PROCESSING) for task in server.sandbox.tasks.all()
    ):
        time.sleep(0.005)


@pytest.fixture
def wrong(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    """Serve a sandbox with the faults that a test is parametrized with."""
    options = SandboxOptions(
        faults=read_faults(request.param),
        ranges="length*" in request.param,
        strict=True,
        realistic=True,
    )
    with running(tmp_path / "sandbox", options=options) as server:
        yield server


def at_home(told: Told) -> None:
    (home,) = told.delivered
    assert (str(home.PatientName), home.PatientID) == (PELVIS.name, PELVIS.patient_id)


@pytest.mark.parametrize(
    ("spec", "wrong", "place"),
    [
        (spec, spec, kind)
        for kind, specs in (("folder", TRIED), ("node", ELSEWHERE), ("stow", ELSEWHERE))
        for spec in specs
        if not spec.endswith("lockout")
    ],
    indirect=["wrong", "place"],
)
def test_one_fault_delays_and_loses_nothing(spec: str, told: Told, wrong: Running) -> None:
    (job,) = told.jobs
    if spec in HELD:
        assert (job.held, job.reason_code) == (True, HELD[spec])
        assert len(told.delivered) == (1 if spec.startswith("confirm") else 0)
    else:
        assert job.state is State.DONE
        at_home(told)
    assert wrong.sandbox.panel.played == 1
    assert wrong.requests.total() <= MOST_REQUESTS
    assert wrong.requests["upload"] <= MOST_UPLOADS
    assert all(one.split()[0] in ("3", "5") for one in told.errors)
    assert len(told.errors) <= 1


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [(spec, spec) for spec in MATRIX if spec.endswith("lockout")],
    indirect=["wrong"],
)
@pytest.mark.usefixtures("pelvis")
def test_where_every_token_is_dead_each_run_says_so_and_no_job_is_touched(
    spec: str, wrong: Running, site: Site, clock: Clock
) -> None:
    told = cycle(site, clock, wrong, runs=4)

    (job,) = told.jobs
    refused = [one for one in told.errors if one == "5 token-refused"]
    assert len(refused) >= 2 or spec == "health:lockout"
    assert set(told.errors) <= {"5 token-refused"}
    assert (job.held, job.attempts) == (False, 0)
    assert wrong.requests["refresh"] <= 4


@pytest.mark.parametrize(
    "wrong",
    [f"upload:expire,token:{what}" for what in (RENEWED_LATER if LONG else RENEWED_LATER[::3])],
    indirect=True,
)
def test_a_refresh_that_fails_once_delays_the_series_and_counts_as_no_upload(
    told: Told, wrong: Running
) -> None:
    (job,) = told.jobs
    assert (job.state, job.posts, job.unanswered) == (State.DONE, 1, 0)
    at_home(told)
    assert wrong.requests["refresh"] <= 3
    assert told.runs == 3


@pytest.mark.parametrize("wrong", ["upload:expire,token:404"], indirect=True)
def test_without_the_newer_endpoint_the_token_is_refreshed_at_the_older_one(
    told: Told, wrong: Running
) -> None:
    (job,) = told.jobs
    assert (job.state, job.posts, told.errors, told.runs) == (State.DONE, 1, [], 2)
    assert wrong.requests["refresh"] == 2


@pytest.mark.parametrize(
    "wrong", [f"upload:expire,token:{what}" for what in NEVER_RENEWED], indirect=True
)
@pytest.mark.usefixtures("pelvis")
def test_a_pair_that_is_lost_on_the_way_is_told_and_no_job_is_touched(
    wrong: Running, site: Site, clock: Clock
) -> None:
    told = cycle(site, clock, wrong, runs=4)

    (job,) = told.jobs
    assert (job.held, job.posts, job.reason_code) == (False, 0, "token-renewal")
    assert told.errors == ["5 token-lost"] * 3


@pytest.mark.parametrize("wrong", ["models:500*,models:stall"], indirect=True)
def test_a_run_needs_no_catalogue(told: Told) -> None:
    at_home(told)
    assert told.errors == []


@pytest.mark.parametrize(
    "wrong", ["status:403", "rtstruct:403", "confirm:403", "upload:413"], indirect=True
)
@pytest.mark.usefixtures("pelvis")
def test_what_holds_one_job_stops_no_other(wrong: Running, site: Site, clock: Clock) -> None:
    write_planning_ct(site.store / "thorax", THORAX, slices=4, size=32)

    told = cycle(site, clock, wrong)

    assert sorted(job.held for job in told.jobs) == [False, True]
    assert [job.state for job in told.jobs if not job.held] == [State.DONE]
    assert told.errors == []


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ("upload:403*", "endpoint"),
        ("upload:502*", "uploads-unanswered"),
        ("status:403*", "endpoint"),
        ("status:404*", "task-unknown"),
        ("upload:lost*", "uploads-unanswered"),
        ("upload:stall*", "uploads-unanswered"),
        ("status:word*", "deadline"),
        ("rtstruct:partial*", "structures-missing"),
        ("rtstruct:404*", "result-missing"),
    ],
    indirect=["wrong"],
)
@pytest.mark.usefixtures("pelvis")
def test_what_stays_wrong_is_given_to_a_person(
    wrong: Running, site: Site, clock: Clock, code: str
) -> None:
    told = cycle(site, clock, wrong, runs=60)

    (job,) = told.jobs
    assert (job.held, job.reason_code) == (True, code)
    assert told.delivered == []
    assert wrong.requests["upload"] <= 5
    assert wrong.requests.total() <= 60


@pytest.mark.parametrize("wrong", ["status:word*2"], indirect=True)
def test_a_word_that_nobody_knows_is_told_once(told: Told) -> None:
    (job,) = told.jobs
    said = [event for event in job.events if "which drawcli does not know" in event.what]
    assert len(said) == 1
    assert job.state is State.DONE


@pytest.mark.parametrize("wrong", ["rtstruct:length*3"], indirect=True)
def test_a_download_that_breaks_goes_on_within_the_run_where_the_server_allows_it(
    told: Told, wrong: Running
) -> None:
    at_home(told)
    assert wrong.requests["download"] == 4  # each brings half of what was missing
    assert [job.attempts for job in told.jobs] == [0]
    assert told.runs == 2


@pytest.mark.parametrize("wrong", ["slow:200k/s"], indirect=True)
def test_a_slow_server_is_waited_for(told: Told) -> None:
    at_home(told)


@pytest.mark.parametrize("wrong", [""], indirect=True)
def test_without_a_fault_five_requests_are_enough(told: Told, wrong: Running) -> None:
    at_home(told)
    assert told.errors == []
    assert wrong.requests == {"health": 1, "upload": 1, "status": 1, "download": 1, "confirm": 1}
