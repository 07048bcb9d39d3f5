"""The context of a step: settings, ledger, work folders, keys, rules, server and clock."""

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drawcli.adapters.ledger import ledger_of
from drawcli.adapters.state.keys.key_source import site_keys
from drawcli.adapters.state.progress import Progress
from drawcli.adapters.state.progress_file import ProgressFile
from drawcli.adapters.state.run_log import RunLog, new_run_id
from drawcli.adapters.state.site_key import foreign_key
from drawcli.adapters.state.workdir import VAULT, WorkDir
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.ledger import Busy, Ledger
from drawcli.core.jobs.shared_files import HostFiles, JobFiles
from drawcli.errors import (
    DiskFull,
    OutOfReach,
    ServerRefused,
    TryLater,
)
from drawcli.pipeline.cluster.images import check_images_here, is_on_this_host
from drawcli.pipeline.cluster.opening import check_same_site, job_files
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
    files: JobFiles = field(default_factory=HostFiles)  # of jobs, shared with other machines
    silent: dict[Path, bool] = field(default_factory=dict, init=False)  # checked datastores

    @property
    def site_dir(self) -> Path:
        """The state_dir of the site, with its audit log, run log and pause."""
        return self.side_of or self.settings.state_dir

    def jobs_in(self, states: Collection[State], only: str | None = None) -> list[Job]:
        """Return the open jobs in some states; if one is chosen (`only`), no other job is read."""
        if only is None:
            return self.ledger.jobs(states)
        job = self.ledger.get(only)
        return [] if job is None or job.state not in states else [job]

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
        from drawcli.pipeline.cluster.tokens import site_tokens

        return site_tokens(self.settings, self.ledger)

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
        known = {one.key_id: one for one in (self.stand_ins, *self.retired)}
        if job.key_id not in known:
            raise foreign_key(self.settings.state_dir)
        return known[job.key_id]

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
        """Return the identity of a job; brought to this host if another has made it."""
        if not self.work.file(job.id, VAULT).exists():
            self.look(job)
        return self.vault.open(self.work.file(job.id, VAULT).parent, job.id)

    def images_of(self, job: Job) -> "Crosswalk":
        """Return the identity of a job before its images are read.

        Raises
        ------
        TryLater
            If their file server does not answer, which is tested once per run, or if they are on
            another host.
        """
        crosswalk = self.crosswalk(job)
        check_images_here(job, crosswalk, self)
        return crosswalk

    def kept_jobs(self) -> Iterator[Job]:
        """Yield every job that has a work folder, by id."""
        return iter(self.ledger.find(self.work.job_ids()))

    @contextmanager
    def job_lock(self, job_id: str) -> Iterator[None]:
        """Hold the lock of a job, against other processes and other machines, during a block.

        Raises
        ------
        Busy
            If another process works on it.
        """
        with self.work.job_lock(job_id), self.ledger.claim(job_id):
            self.files.bring(job_id)
            yield

    def look(self, job: Job) -> Job:
        """Copy the files of a job to this host for reading, unless a step works on it."""
        if not isinstance(self.files, HostFiles):
            with suppress(Busy, OutOfReach), self.work.job_lock(job.id):
                self.files.bring(job.id)  # without shared storage, what is with the job
        return job

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
            with self.job_lock(job.id):
                if self.ledger.get(job.id) is not None:
                    return False
                if crosswalk is not None:
                    self.seal(job.id, (bring or partial(self._with_own_images, job.id))(crosswalk))
                    if is_on_this_host(job, crosswalk, self.settings):
                        self.files.bind(job.id)
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
    keys = site_keys(settings)
    with ExitStack() as opened, ledger_of(settings) as ledger:
        check_same_site(ledger, WorkDir(settings.state_dir), keys.ring)

        def open_server() -> "DrawServer":
            from drawcli.adapters.server.client import DrawServer

            return opened.enter_context(DrawServer.opened(settings.server, ctx.tokens, now))

        ctx = Context(
            settings=settings,
            ledger=ledger,
            work=WorkDir(settings.state_dir),
            stand_ins=keys.stand_ins,
            open_server=open_server,
            retired=keys.older,
            now=now,
            progress=Progress(ProgressFile.of(settings.state_dir)),
            files=job_files(settings, ledger, keys),
        )
        yield ctx
