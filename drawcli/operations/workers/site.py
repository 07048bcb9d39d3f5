"""A site that is open for a long time: a change of its files is used with the next task."""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
from drawcli.adapters.ledger.postgres.leases import Leases
from drawcli.adapters.ledger.postgres.shared import Shared, WorkerSeen
from drawcli.adapters.server.client import DrawServer
from drawcli.adapters.state.pause import stored_pause
from drawcli.adapters.state.progress import Progress
from drawcli.adapters.work_queue.queue import WorkQueue
from drawcli.config.load import Settings, load_settings
from drawcli.errors import ConfigError, UsageError
from drawcli.pipeline.cluster.pressure import server_name
from drawcli.pipeline.context import Context, open_context, utc_now

_ROUND_SECONDS: Final = 60.0  # then whatever a run checks once is checked again
_KEY: Final = "site.key"
Stamps = tuple[tuple[int, int, int] | bytes | None, ...]


def stamps_of(paths: Iterable[Path]) -> Stamps:
    """Return stamps that change when one of the files is replaced or written to."""
    return tuple(_stamp(path) for path in paths)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _content_of(path: Path) -> bytes:
    """Return a digest of a small file; b"" if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b""


@dataclass
class SharedClock:
    """The time of the database, read once and continued with a monotonic clock."""

    _base: datetime | None = None
    _at: float = 0.0

    def now(self) -> datetime:
        """Return the time, UTC; that of this host before the first `set`."""
        if self._base is None:
            return utc_now()
        return self._base + timedelta(seconds=time.monotonic() - self._at)

    def set(self, shared: Shared) -> None:
        """Read the time of the database."""
        asked = time.monotonic()
        self._base = shared.clock()
        self._at = (asked + time.monotonic()) / 2


@dataclass
class OpenSite:
    """A site with its ledger, its queues, and a Context for the next task."""

    config: Path
    base: Context
    shared: Shared
    leases: Leases
    queue: WorkQueue
    clock: SharedClock
    loaded: Stamps
    _round: ExitStack = field(default_factory=ExitStack)
    _ctx: Context | None = None
    _stamps: Stamps = ()  # of the files that the Context has read
    _began: float = 0.0

    @property
    def settings(self) -> Settings:
        """The settings, as they were read."""
        return self.base.settings

    @property
    def host(self) -> str:
        """The name of this host."""
        return self.shared.holder.host

    @property
    def is_outdated(self) -> bool:
        """Whether the settings or the key of the site have changed since they were read."""
        return self.loaded != stamps_of(_files(self.config, self.settings))

    def present_stamps(self) -> Stamps:
        """Return stamps that change with the rules, the templates and the tokens."""
        settings = self.settings
        tokens = _content_of(settings.server.token_file)  # each try to renew them writes the file
        return (*stamps_of((settings.rules, settings.templates)), tokens)

    def context(self) -> Context:
        """Return the Context for the next task: a new one each minute, and after a change.

        Raises
        ------
        LedgerError, ConfigError
            If another host has upgraded the tables, or changed the site key.
        """
        stamps, now = self.present_stamps(), time.monotonic()
        if self._ctx is None or stamps != self._stamps or now - self._began > _ROUND_SECONDS:
            self.close_round()
            self.check_present()
            self.clock.set(self.shared)
            self._ctx = replace(self.base, open_server=self._open_server, progress=Progress())
            self._stamps, self._began = stamps, now
        return self._ctx

    def check_present(self) -> None:
        """Raise an error if this process must stop: other tables, or another site key."""
        if isinstance(self.base.ledger, DatabaseLedger):
            self.base.ledger.check_present()

    @property
    def policy(self) -> str:
        """A digest of the rules and settings that decide what happens to a job.

        "" if the rules cannot be read.
        """
        try:
            rules = self.context().rulebook.digest
        except ConfigError:
            return ""
        own, out = self.settings, self.settings.deliver
        sections = (own.match, own.deidentify.replace(workers=0), own.accept)
        decide = (rules, *sections, out.folder, out.node, out.targets, out.use, out.name)
        return hashlib.sha256(repr(decide).encode()).hexdigest()[:12]

    def is_first(self, host: str) -> bool:
        """Return whether a host is the first of those whose workers are alive, by name."""
        return host == min((one.host for one in self.workers()), default=host)

    def workers(self) -> list[WorkerSeen]:
        """Return the active workers of the site."""
        return self.shared.workers(self.settings.cluster.lease_seconds)

    def takes_uploads(self) -> bool:
        """Return whether the site sends now: it is not paused, and no server has asked to wait."""
        if stored_pause(self.settings.state_dir, self.shared) is not None:
            return False
        return self.shared.wait_of(server_name(self.settings)) is None

    def release_dead(self) -> None:
        """Release the claims of ended processes of this host."""
        self.leases.release_dead()

    def queue_parameters(self) -> dict[str, Any]:
        """Return the parameters of another connection to the database, for libpq."""
        return self.shared.database.parameters()

    def close_round(self) -> None:
        """Forget the rules, and close the connection to the server."""
        self._ctx = None
        self._round.close()

    def _open_server(self) -> DrawServer:
        ctx = self._ctx or self.base
        opened = DrawServer.opened(ctx.settings.server, ctx.tokens, ctx.now)
        return self._round.enter_context(opened)


def _files(config: Path, settings: Settings) -> tuple[Path, ...]:
    return (config, settings.state_dir / _KEY)


@contextmanager
def open_site(config: Path) -> Iterator[OpenSite]:
    """Open a site for a worker.

    Raises
    ------
    UsageError
        If its ledger is a file.
    """
    settings = load_settings(config, os.environ)
    loaded, clock = stamps_of(_files(config, settings)), SharedClock()
    with open_context(settings, clock.now) as ctx:
        ledger = ctx.ledger
        if not isinstance(ledger, DatabaseLedger):
            raise UsageError(
                "a worker needs a ledger in a database, and this site has its ledger in a file",
                hint="Start 'drawcli run-once' with cron; one machine needs no workers.",
            )
        shared = ledger.shared
        clock.set(shared)
        queue = WorkQueue(ledger.database, ledger.site)
        made = OpenSite(config, ctx, shared, ledger.leases, queue, clock, loaded)
        try:
            yield made
        finally:
            made.close_round()
