"""A small site on disk, a stopped clock, and a DRAW server in memory."""

import gc
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, settings

from drawcli.adapters.ledger import FileLedger
from drawcli.adapters.server.client import DrawServer
from drawcli.adapters.server.token_file import TokenFile
from drawcli.adapters.state.site_key import make_site_key, read_site_key, retired_keys
from drawcli.adapters.state.workdir import WorkDir
from drawcli.config.load import Settings, load_settings
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.jobs.job import Job, State
from drawcli.pipeline.context import Context, open_context
from drawcli.sandbox.patients import PEOPLE
from tests.fake_draw import FakeDraw
from tests.mutation.caches import ACTIVE, NOTING, forget_caches
from tests.phantoms.planning import write_planning_ct
from tests.postgres import PROGRAMS, Postgres, postgres, site_lines

# A change is judged by the same few examples each time; RANDOM=1 (make torture) looks for new ones.
settings.register_profile(
    "here",
    max_examples=100 if "RANDOM" in os.environ else 25,
    deadline=None,
    derandomize="RANDOM" not in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],  # a matter of the machine and of what it does
)
settings.load_profile("here")

# Sweeps do again, thousands of times, what other tests do once: `make sweep` runs them, `make test`
# does without. They are marked (pytest.mark.sweep), or are all of a folder or file named here.
SWEEPS = tuple(
    str(Path(__file__).parent / name)
    for name in (
        *"torture deidentification releases documents/test_blocks test_bench test_wheel".split(),
        *"pipeline/survey/test_fuzz test_round_trip test_server_faults cli/test_real_data".split(),
        *"core/rules/test_prefilter core/test_identity cli/test_start_up".split(),
        *"test_home_and_away core/qa/test_chart_year core/qa/test_chart_peers".split(),
        "dashboard/test_user_browser",
        "adapters/delivery/test_orthanc",
    )
)

# Who starts the tests in the background may have them ignore Ctrl-C; their processes must not.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

NOON = datetime(2026, 11, 14, 12, 0, tzinfo=UTC)
SLICES = 6
PELVIS, HEAD_NECK, THORAX = (
    next(person for person in PEOPLE if person.site == site)
    for site in ("pelvis", "head-neck", "thorax")
)


@dataclass
class Clock:
    """A clock that only moves when it is told to."""

    at: datetime = NOON

    def now(self) -> datetime:
        return self.at

    def advance(self, **span: float) -> None:
        self.at += timedelta(**span)


@dataclass
class Site:
    """A site folder as `drawcli init` makes it, with a datastore of its own."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "drawcli.yaml"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def settings(self) -> Settings:
        return load_settings(self.config, self.env)

    def add_line(self, line: str) -> None:
        """Append to drawcli.yaml."""
        with self.config.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")


def pytest_configure(config: pytest.Config) -> None:
    """Do not wait for the disk in `make test`: power cuts are for the sweep."""
    if config.option.markexpr == "not sweep":
        pytest.MonkeyPatch().setattr(os, "fsync", os.fstat)  # it needs an open file, too


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave files unread that have none of the tests that are wanted."""
    wanted, swept = config.option.markexpr, str(collection_path).startswith(SWEEPS)
    if wanted == "not sweep" and swept:
        return True
    if wanted == "sweep" and collection_path.name.startswith("test_") and not swept:
        return "mark.sweep" not in collection_path.read_text(encoding="utf-8") or None
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if str(item.path).startswith(SWEEPS):
            item.add_marker(pytest.mark.sweep)
    items.sort(key=lambda item: item.path.name != "test_real_cron.py")  # it waits three minutes


def pytest_collection_finish() -> None:
    """Spare the garbage collector the ten thousand tests: a full collection would take a second."""
    if ACTIVE in os.environ:
        forget_caches()
    gc.collect()
    gc.freeze()


def pytest_runtest_setup() -> None:
    if os.environ.get(ACTIVE) == NOTING:
        forget_caches()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def draw() -> FakeDraw:
    return FakeDraw()


class LedgerLines:
    """The settings of the ledger of each made site: none, or with LEDGER=database a new site."""

    server: Postgres | None = None

    def __call__(self) -> list[str]:
        return [] if self.server is None else site_lines(self.server)


LEDGER_LINES = LedgerLines()


@pytest.fixture(scope="session", autouse=True)
def _ledger_of_sites(request: pytest.FixtureRequest) -> None:
    """With `LEDGER=database pytest ...`, run tests of the pipeline with a ledger in a database."""
    if os.environ.get("LEDGER") == "database":
        LEDGER_LINES.server = request.getfixturevalue("postgres_server")


def made_site(folder: Path) -> Site:
    """Make a site with an empty datastore; its server is nowhere."""
    made = Site(folder)
    made.store.mkdir(parents=True)
    root = Path(__file__).parents[1]
    for name in ("rules.yaml", "templates.yaml"):
        (made.folder / name).write_bytes((root / name).read_bytes())
    made.config.write_text(
        "datastore: store\nstate_dir: state\n"
        "scan: {quiet_minutes: 0}\n"
        "preview: never\n"  # it takes longer than the rest of a cycle
        "server: {url: 'http://127.0.0.1:9', client_id: ward-7}\n",
        encoding="utf-8",
    )
    for line in LEDGER_LINES():
        made.add_line(line)
    token = made.folder / "token.json"
    token.write_text('{"access_token": "access-1", "refresh_token": "refresh-1"}')
    token.chmod(0o600)
    make_site_key(made.state)
    return made


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Make a site with an empty datastore; its server is nowhere."""
    return made_site(tmp_path / "site")


@pytest.fixture
def pelvis(site: Site) -> list[Path]:
    """Put a small planning CT into the datastore that the example rules take."""
    return write_planning_ct(site.store / "pelvis", PELVIS, slices=SLICES, size=32, seed=1)


@pytest.fixture
def usb(tmp_path: Path) -> Path:
    """Return a medium with a small planning CT, in a folder that is named after its patient."""
    write_planning_ct(tmp_path / "usb" / "KOWALSKI", PELVIS, slices=SLICES, size=32, seed=1)
    return tmp_path / "usb"


@contextmanager
def opened(
    site: Site, draw: Callable[[httpx.Request], httpx.Response], clock: Clock
) -> Iterator[Context]:
    """Open the site with the server in memory and the clock stopped."""
    settings = site.settings()
    tokens = TokenFile(settings.server.token_file)
    client = httpx.Client(transport=httpx.MockTransport(draw))
    if settings.ledger:
        with open_context(settings, clock.now) as made, client:
            server = DrawServer(client, settings.server, tokens, clock.now)
            server.pause = lambda _seconds: None
            vars(made).update(tokens=tokens, server=server)
            yield made
        return
    with FileLedger(site.state / "ledger.json") as ledger, client:

        def open_server() -> DrawServer:
            server = DrawServer(client, settings.server, tokens, clock.now)
            server.pause = lambda _seconds: None
            return server

        ctx = Context(
            settings=settings,
            ledger=ledger,
            work=WorkDir(site.state),
            stand_ins=StandIns(read_site_key(site.state)),
            open_server=open_server,
            retired=tuple(StandIns(key) for key in retired_keys(site.state).values()),
            now=clock.now,
        )
        vars(ctx)["tokens"] = tokens  # from a file, whatever the settings say
        yield ctx


@pytest.fixture
def ctx(site: Site, draw: FakeDraw, clock: Clock) -> Iterator[Context]:
    """Open the site with the server in memory and the clock stopped."""
    with opened(site, draw, clock) as made:
        yield made


def only_job(ctx: Context) -> Job:
    """Return the job of a ledger that has one."""
    (job,) = ctx.ledger.jobs()
    return job


@pytest.fixture
def in_state(ctx: Context) -> Callable[..., Job]:
    """Put a bare job into the ledger, in any state."""

    def make(state: State, job_id: str = "0123456789ab-1", **facts: object) -> Job:
        job = Job(id=job_id, state=state, since=NOON, **facts)  # type: ignore[arg-type] # any fact
        ctx.ledger.add(job)
        return job

    return make


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Run PostgreSQL; each test makes a database of its own in it."""
    if PROGRAMS is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this machine stand in Berlin, which has daylight saving time."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """Take our handlers off again, and give the root logger its level back."""
    root = logging.getLogger()
    before, level, resort = list(root.handlers), root.level, logging.lastResort
    yield
    logging.lastResort = resort
    for handler in [one for one in root.handlers if one not in before]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    logging.captureWarnings(capture=False)
