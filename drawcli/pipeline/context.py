"""The context of a step: settings, ledger, work folders, keys, rules, server and clock."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drawcli.adapters.ledger import Ledger
from drawcli.adapters.state.progress import Progress
from drawcli.adapters.state.progress_file import ProgressFile
from drawcli.adapters.state.run_log import RunLog, new_run_id
from drawcli.adapters.state.site_key import read_site_key, retired_keys
from drawcli.adapters.state.workdir import VAULT, Busy, WorkDir
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.jobs.job import Job
from drawcli.errors import (
    SILENT,
    ConfigError,
    DiskFull,
    LedgerError,
    ServerRefused,
    TryLater,
)
from drawcli.system.mounts_and_locks import check_local_disk

if TYPE_CHECKING:
    from drawcli.adapters.delivery.target import SiteTarget
    from drawcli.adapters.rulebook.rulebook import Rulebook
    from drawcli.adapters.server.client import DrawServer
    from drawcli.adapters.server.token_store import TokenStore
    from drawcli.adapters.state.audit_log import Actor, AuditLog
    from drawcli.adapters.state.vault import Vault
    from drawcli.config.load import Settings
    from drawcli.core.series.crosswalk import Crosswalk
    from drawcli.system.threads import TurnLock


def utc_now() -> datetime:
    """Return the present time, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Context:
    """Everything that a step needs; rules and server are opened on first use, once per run."""

    settings: "Settings"
    ledger: Ledger
    work: WorkDir
    stand_ins: StandIns
    open_server: "Callable[[], DrawServer]"
    retired: tuple[StandIns, ...] = ()  # of keys used earlier
    now: Callable[[], datetime] = utc_now
    progress: Progress = field(default_factory=Progress)  # of the current step
    run_id: str = field(default_factory=new_run_id)  # in the log, the run log and the audit log
    purpose: str = ""  # of jobs in a ledger of their own, which deliver nothing; in the audit log
    side_of: Path | None = None  # the state_dir of the site, for such a ledger
    by: str | None = None  # the user of the page that acts; None: whoever runs the command
    _silent: dict[Path, bool] = field(default_factory=dict, init=False)  # checked datastores

    @property
    def site_dir(self) -> Path:
        """The state_dir of the site, with its audit log, run log and pause."""
        return self.side_of or self.settings.state_dir

    @cached_property
    def server(self) -> "DrawServer":
        """The DRAW server; the first access reads the tokens."""
        return self.open_server()

    @cached_property
    def turns(self) -> "TurnLock":
        """The lock of the thread at work; released while a step waits for the server."""
        from drawcli.system.threads import TurnLock

        return TurnLock()

    @cached_property
    def tokens(self) -> "TokenStore":
        """Where the tokens are."""
        from drawcli.adapters.server import site_tokens

        return site_tokens(self.settings)

    @cached_property
    def rulebook(self) -> "Rulebook":
        """The rules and templates, read and checked."""
        from drawcli.adapters.rulebook.rulebook import site_rulebook

        return site_rulebook(self.settings)

    @cached_property
    def targets(self) -> "list[SiteTarget]":
        """The delivery targets, in order."""
        from drawcli.adapters.delivery import targets_of

        return targets_of(self.settings)

    @cached_property
    def vault(self) -> "Vault":
        """The encrypted store of the identity of each job."""
        from drawcli.adapters.state.vault import vault_of

        return vault_of(self.stand_ins, self.retired)

    @cached_property
    def audit(self) -> "AuditLog":
        """The log of every upload attempt."""
        from drawcli.adapters.state.audit_log import AuditLog

        return AuditLog(self.site_dir)

    @cached_property
    def actor(self) -> "Actor":
        """Who acts."""
        from drawcli.adapters.state.audit_log import Actor

        return Actor.present() if self.by is None else Actor.of_page(self.by)

    def record(self, action: str, job: Job | None = None, **facts: Any) -> None:
        """Write what a user does into the audit log, before it is done; durable on return."""
        about = {"job": job.id} | self._purpose if job else {}
        self.audit.add_action(action, self.now(), self.run_id, self.actor, about | facts)

    @property
    def _purpose(self) -> dict[str, str]:
        return {"purpose": self.purpose} if self.purpose else {}

    def audit_write(self, what: str, job: Job, **facts: Any) -> None:
        """Write an entry about a job into the audit log; durable on return."""
        about = {"job": job.id} | self._purpose | facts
        self.audit.add(what, self.now(), self.run_id, about)

    def audit_write_outcome(self, what: str, job: Job, **facts: Any) -> None:
        """Write the outcome of an attempt; it is lost if the log cannot be written."""
        with suppress(OSError, TryLater, DiskFull):
            self.audit_write(what, job, **facts)

    def stand_ins_of(self, job: Job) -> StandIns:
        """Return the stand-ins of the key that a job was made with.

        Raises
        ------
        ConfigError
            If the site has lost that key.
        """
        if job.key_id is None:
            return self.stand_ins
        for stand_ins in (self.stand_ins, *self.retired):
            if stand_ins.key_id == job.key_id:
                return stand_ins
        raise _foreign_key(self.settings.state_dir)

    def check_uploads_welcome(self) -> None:
        """Raise an error if the server does not take uploads; it is asked once per run."""
        _ = self._uploads_welcome

    @cached_property
    def _uploads_welcome(self) -> bool:
        self.server.check_ready()
        last = RunLog(self.site_dir).last()
        if last is not None and last.error == ServerRefused.code:
            self.server.check_token()  # before a whole package is sent in vain
        return True

    def package_name(self, job: Job, crosswalk: "Crosswalk") -> str:
        """Return the file name of a package; no part of it comes from a path."""
        client = self.settings.server.client_id or "drawcli"
        return f"{client}_{self.stand_ins_of(job).uid(crosswalk.series_uid)}.zip"

    def crosswalk(self, job: Job) -> "Crosswalk":
        """Return the identity of a job."""
        return self.vault.open(self.work.file(job.id, VAULT).parent, job.id)

    def images_of(self, job: Job) -> "Crosswalk":
        """Return the identity of a job before its images are read.

        Raises
        ------
        TryLater
            If their file server does not answer; it is asked once per run.
        """
        from drawcli.adapters.datastore.walk import is_silent

        crosswalk = self.crosswalk(job)
        folder = Path(crosswalk.files[0].path).parent
        stores = (root for root in self.settings.datastore if root in (folder, *folder.parents))
        store = next(stores, folder)
        if store not in self._silent:
            self._silent[store] = is_silent(store, self.settings.scan.answer_seconds)
        if self._silent[store]:
            raise TryLater(
                "the file server with the images of the series does not answer",
                code=SILENT,
                hint="Check the file server and the mount; scan.answer_seconds is the limit.",
            )
        return crosswalk

    def kept_jobs(self) -> Iterator[Job]:
        """Yield every job that has a work folder, by id."""
        return iter(self.ledger.find(self.work.job_ids()))

    def begin(
        self,
        job: Job,
        crosswalk: "Crosswalk | None",
        bring: "Callable[[Crosswalk], Crosswalk] | None" = None,
    ) -> bool:
        """Store a new job with its identity; return False if another process has stored it.

        The identity of an existing job is never overwritten.

        Parameters
        ----------
        job, crosswalk
            The job and, if known, its identity.
        bring
            Copies images that will not stay where they are into the job's work folder.
        """
        try:
            with self.work.job_lock(job.id):
                if self.ledger.get(job.id) is not None:
                    return False
                if crosswalk is not None:
                    self.seal(job.id, (bring or partial(self._with_own_images, job.id))(crosswalk))
                return bool(self.ledger.add(job))
        except Busy:
            return False

    def _with_own_images(self, job_id: str, crosswalk: "Crosswalk") -> "Crosswalk":
        """Return a crosswalk that refers to no image in the work folder of another job."""
        own = self.work.copy_foreign_images(job_id, (file.path for file in crosswalk.files))
        return crosswalk.with_paths(own) if own else crosswalk

    def seal(self, job_id: str, crosswalk: "Crosswalk") -> None:
        """Store the identity of a job; durable on return."""
        self.vault.seal(self.work.folder(job_id), job_id, crosswalk)


@contextmanager
def open_context(settings: "Settings", now: Callable[[], datetime] = utc_now) -> Iterator[Context]:
    """Open the ledger, keys and stores of a site, and close them on exit.

    Raises
    ------
    ConfigError
        If there is no usable site key, or state_dir is on a network share.
    LedgerError
        If the ledger cannot be read.
    """
    check_local_disk(settings.state_dir)
    stand_ins = StandIns(read_site_key(settings.state_dir))
    retired = tuple(StandIns(key) for key in retired_keys(settings.state_dir).values())
    with ExitStack() as opened, Ledger(settings.state_dir / "ledger.json") as ledger:
        _check_same_site(ledger, WorkDir(settings.state_dir), (stand_ins, *retired))

        def open_server() -> "DrawServer":
            from drawcli.adapters.server.client import DrawServer

            return opened.enter_context(DrawServer.opened(settings.server, ctx.tokens, now))

        ctx = Context(
            settings=settings,
            ledger=ledger,
            work=WorkDir(settings.state_dir),
            stand_ins=stand_ins,
            open_server=open_server,
            retired=retired,
            now=now,
            progress=Progress(ProgressFile.of(settings.state_dir)),
        )
        yield ctx


def _check_same_site(ledger: Ledger, work: WorkDir, ring: Iterable[StandIns]) -> None:
    """Raise an error if the ledger is missing or of another key: all would be sent again."""
    jobs = ledger.jobs()
    if not jobs and not ledger.archive.months() and work.has_jobs():
        raise LedgerError(
            f"{work.state_dir} has work folders of jobs, but no ledger",
            hint="Restore ledger.json from a copy, or move the folder 'work' away.",
        )
    if {job.key_id for job in jobs} - {None, *(key.key_id for key in ring)}:
        raise _foreign_key(work.state_dir)


def _foreign_key(state_dir: Path) -> ConfigError:
    return ConfigError(
        f"{state_dir}: the jobs were made with another site key",
        code="site-key",
        hint="Restore that key: without it the series would be sent again under other pseudonyms.",
    )
