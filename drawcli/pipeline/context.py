"""What a step is given: settings, ledger, work folders, keys, rules, server and the time."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drawcli.adapters.ledger import Ledger
from drawcli.adapters.server.token_file import TokenFile
from drawcli.adapters.server.token_store import TokenStore
from drawcli.adapters.state.progress import Progress
from drawcli.adapters.state.progress_file import ProgressFile
from drawcli.adapters.state.run_log import RunLog, new_run_id
from drawcli.adapters.state.site_key import read_site_key, retired_keys
from drawcli.adapters.state.workdir import TEMPLATE, VAULT, Busy, WorkDir
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.jobs.job import Job
from drawcli.errors import (
    SILENT,
    ConfigError,
    DiskFull,
    LedgerError,
    NeedsPerson,
    ServerRefused,
    TryLater,
)
from drawcli.system.mounts_and_locks import remote_disk
from drawcli.system.threads import TurnLock

if TYPE_CHECKING:
    from drawcli.adapters.delivery.target import DeliveryTarget
    from drawcli.adapters.rulebook.rulebook import Rulebook
    from drawcli.adapters.server.client import DrawServer
    from drawcli.adapters.state.audit_log import AuditLog
    from drawcli.adapters.state.vault import Vault
    from drawcli.config.load import Settings
    from drawcli.core.series.crosswalk import Crosswalk


def utc_now() -> datetime:
    """Return the present time, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a step is given. Tests give the same class a stopped clock and a fake server.

    Rules and server are opened by the first step that asks for them, once for the whole run.
    """

    settings: "Settings"
    ledger: Ledger
    work: WorkDir
    stand_ins: StandIns
    open_server: "Callable[[], DrawServer]"
    tokens: TokenStore
    retired: tuple[StandIns, ...] = ()  # of keys that were in use before
    now: Callable[[], datetime] = utc_now
    progress: Progress = field(default_factory=Progress)  # of the step that runs
    turns: TurnLock = field(
        default_factory=TurnLock
    )  # given up by a step while it waits for the server
    run_id: str = field(default_factory=new_run_id)  # in the log, the run log and the audit log
    _silent: dict[Path, bool] = field(default_factory=dict, init=False)  # datastores of this run

    @cached_property
    def server(self) -> "DrawServer":
        """The DRAW server; asking for it reads the tokens."""
        return self.open_server()

    @cached_property
    def rulebook(self) -> "Rulebook":
        """The rules and templates, read and checked."""
        from drawcli.adapters.rulebook.rulebook import site_rulebook

        return site_rulebook(self.settings)

    @cached_property
    def targets(self) -> "list[DeliveryTarget]":
        """Where structure sets are delivered to, in this order; the first is the folder."""
        from drawcli.adapters.delivery import targets_of

        return targets_of(self.settings)

    @cached_property
    def vault(self) -> "Vault":
        """Where the identity of each job is sealed."""
        return vault_of(self.stand_ins, self.retired)

    @cached_property
    def audit(self) -> "AuditLog":
        """What left this building."""
        from drawcli.adapters.state.audit_log import AuditLog

        return AuditLog(self.settings.state_dir)

    def audit_write(self, what: str, job: Job, **facts: Any) -> None:
        """Write into the audit log what is about to happen to a job; durable when this returns."""
        self.audit.add(what, self.now(), self.run_id, {"job": job.id, **facts})

    def audit_write_outcome(self, what: str, job: Job, **facts: Any) -> None:
        """Write into the audit log what became of an attempt.

        What has happened stays so where this cannot be written; the attempt stands there, then,
        without an outcome.
        """
        with suppress(OSError, TryLater, DiskFull):
            self.audit_write(what, job, **facts)

    def stand_ins_of(self, job: Job) -> StandIns:
        """Return the stand-ins of the key that a job was made with.

        Raises
        ------
        ConfigError
            Where the site does not have that key (any more).
        """
        if job.key_id is None:
            return self.stand_ins
        for one in (self.stand_ins, *self.retired):
            if one.key_id == job.key_id:
                return one
        raise _foreign_key(self.settings.state_dir)

    def check_token(self) -> None:
        """Raise ConfigError where there is no usable token: before hours of work, not after."""
        self.tokens.read()

    def check_uploads_welcome(self) -> None:
        """Raise what keeps the server from taking uploads; it is asked once a run."""
        _ = self._uploads_welcome

    @cached_property
    def _uploads_welcome(self) -> bool:
        self.server.check_ready()
        last = RunLog(self.settings.state_dir).last()
        if last is not None and last.error == ServerRefused.code:
            self.server.check_token()  # else a whole package would go out to hear it again
        return True

    def package_name(self, job: Job, crosswalk: "Crosswalk") -> str:
        """Return the name under which a zip is sent: nothing in it comes from a path."""
        client = self.settings.server.client_id or "drawcli"
        return f"{client}_{self.stand_ins_of(job).uid(crosswalk.series_uid)}.zip"

    def crosswalk(self, job: Job) -> "Crosswalk":
        """Return the identity of a job."""
        return self.vault.open(self.work.file(job.id, VAULT).parent, job.id)

    def images_of(self, job: Job) -> "Crosswalk":
        """Return the identity of a job whose images are about to be read.

        Raises
        ------
        TryLater
            Where their file server does not answer: it is asked once a run.
        """
        from drawcli.adapters.datastore.walk import is_silent

        crosswalk = self.crosswalk(job)
        lies_in = Path(crosswalk.files[0].path).parent
        stores = (one for one in self.settings.datastore if one in (lies_in, *lies_in.parents))
        store = next(stores, lies_in)
        if store not in self._silent:
            self._silent[store] = is_silent(store, self.settings.scan.answer_seconds)
        if self._silent[store]:
            raise TryLater(
                "the file server with the images of the series does not answer",
                code=SILENT,
                hint="Look at the file server and at the mount; scan.answer_seconds is the limit.",
            )
        return crosswalk

    def kept_jobs(self) -> Iterator[Job]:
        """Yield every job that still has a work folder, open or finished."""
        for job_id in self.work.job_ids():
            job = self.ledger.get(job_id)
            if job is not None:
                yield job

    def begin(
        self,
        job: Job,
        crosswalk: "Crosswalk | None",
        bring: "Callable[[Crosswalk], Crosswalk] | None" = None,
    ) -> bool:
        """Make a new job with its identity; False where another process has made it already.

        The identity of a job that exists is never overwritten: it may hold more by now.

        Parameters
        ----------
        job, crosswalk
            The job and, where it is known, whose series it is.
        bring
            Puts images into the job's work folder that would not stay where they are.
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
        """Return a crosswalk with no image in the work folder of another job."""
        own = self.work.copy_foreign_images(job_id, (file.path for file in crosswalk.files))
        return crosswalk.with_paths(own) if own else crosswalk

    def structures_sent(self, job: Job) -> tuple[str, ...]:
        """Return the names of the structures in the template that was sent.

        Raises
        ------
        NeedsPerson
            If the template is missing from the work folder.
        """
        from drawcli.core.templates.template import structures_of

        try:
            return structures_of(self.work.file(job.id, TEMPLATE).read_bytes())
        except OSError:
            raise NeedsPerson(
                "the template that was sent is missing from the work folder",
                code="template-missing",
                hint=f"'drawcli retry {job.id}' builds the package anew and sends it again.",
            ) from None

    def seal(self, job_id: str, crosswalk: "Crosswalk") -> None:
        """Store the identity of a job; durable when this returns."""
        self.vault.seal(self.work.folder(job_id), job_id, crosswalk)


@contextmanager
def open_context(settings: "Settings", now: Callable[[], datetime] = utc_now) -> Iterator[Context]:
    """Open everything a run needs; close it again whatever happens.

    Raises
    ------
    ConfigError
        Where there is no usable site key, or state_dir lies on a network share.
    LedgerError
        Where the ledger cannot be read.
    """
    kind = remote_disk(settings.state_dir)
    if kind is not None:
        raise ConfigError(
            f"state_dir {settings.state_dir} lies on a network share ({kind})",
            code="state-on-share",
            hint="Locks do not hold there. Choose a folder on a local disk; images may stay.",
        )
    stand_ins = StandIns(read_site_key(settings.state_dir))
    retired = tuple(StandIns(key) for key in retired_keys(settings.state_dir).values())
    with ExitStack() as opened, Ledger(settings.state_dir / "ledger.json") as ledger:
        _check_same_site(ledger, WorkDir(settings.state_dir), (stand_ins, *retired))

        def open_server() -> "DrawServer":
            from drawcli.adapters.server.client import DrawServer

            return opened.enter_context(DrawServer.opened(settings.server, tokens, now))

        tokens = token_store(settings)
        yield Context(
            settings=settings,
            ledger=ledger,
            work=WorkDir(settings.state_dir),
            stand_ins=stand_ins,
            open_server=open_server,
            tokens=tokens,
            retired=retired,
            now=now,
            progress=Progress(ProgressFile.of(settings.state_dir)),
        )


def token_store(settings: "Settings") -> TokenStore:
    """Return where the tokens of a site lie: a file, a command, or the system's keyring."""
    server, beside = settings.server, settings.state_dir / "token"
    if not server.token_command and not server.token_keyring:
        return TokenFile(server.token_file)
    from drawcli.adapters.server.token_sources import TokenCommand, TokenKeyring

    if server.token_command:
        return TokenCommand(server.token_command, server.token_store_command, beside)
    return TokenKeyring(server.token_keyring, server.client_id, beside)


def vault_of(stand_ins: StandIns, retired: Iterable[StandIns]) -> "Vault":
    """Return a vault that seals with one key, and opens also what older ones have sealed."""
    from drawcli.adapters.state.vault import Vault

    older = {one.key_id: one.subkey("vault") for one in retired}
    return Vault(stand_ins.subkey("vault"), stand_ins.key_id, older)


def _check_same_site(ledger: Ledger, work: WorkDir, ring: Iterable[StandIns]) -> None:
    """Refuse a ledger that is gone, or that was kept under another site key.

    Either would send every series of the datastore a second time.
    """
    jobs = ledger.jobs()
    if not jobs and not ledger.archive.months() and work.has_jobs():
        raise LedgerError(
            f"{work.state_dir} has work folders of jobs, but no ledger that knows them",
            hint="Put ledger.json back from a copy, or move the folder 'work' away.",
        )
    if {job.key_id for job in jobs} - {None, *(one.key_id for one in ring)}:
        raise _foreign_key(work.state_dir)


def _foreign_key(state_dir: Path) -> ConfigError:
    return ConfigError(
        f"{state_dir}: the site key is not the one that the jobs were made with",
        code="site-key",
        hint="Put that key back: without it the series would be sent again under other names.",
    )
