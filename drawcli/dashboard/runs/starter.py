"""A run that the page starts: a process of its own, as on the command line, one at a time."""

import subprocess
from threading import Lock, Thread
from typing import Final, NamedTuple

from drawcli.dashboard.snapshot import SiteReader
from drawcli.errors import UsageError
from drawcli.operations.overview import RunHealth, ended_text
from drawcli.operations.schedules import program
from drawcli.system.durations import duration
from drawcli.system.platforms import is_alive

_WAIT: Final = "Wait until it has ended; this page follows it."


class StartedRun(NamedTuple):
    """The last run that was started here."""

    number: int = 0  # 0: none yet
    is_running: bool = False
    exit_code: int | None = None

    @property
    def ended(self) -> str:
        """How it ended, in words; "" while it runs."""
        return "" if self.exit_code is None else ended_text(self.exit_code)

    @property
    def went_well(self) -> bool:
        """Whether it ended normally."""
        return self.exit_code in (0, 6, 9)


class RunStarter:
    """Starts `run-once`; never beside another run.

    The process is not a child in need of the page: it goes on if the page ends. The lock of the run
    decides if cron starts one at the same moment.
    """

    def __init__(self, site: SiteReader) -> None:
        self._site = site
        self._lock = Lock()
        self.last = StartedRun()

    def start(self, by: str) -> None:
        """Start a run for a user of the page.

        Raises
        ------
        UsageError
            If a run is active, or the program cannot be started.
        """
        with self._lock:
            self._check_free()
            self._site.record(by, "run-once")
            words = [*program(), "run-once", "--config", str(self._site.config)]
            try:
                process = subprocess.Popen(  # noqa: S603 - our own program
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C for the page is not for the run
                )
            except OSError as err:
                raise UsageError(
                    f"the run cannot be started: {err.strerror}",
                    hint="Run 'drawcli run-once' on the machine that serves the page.",
                ) from None
            self.last = StartedRun(self.last.number + 1, is_running=True)
            Thread(target=self._watch, args=(process,), name="run", daemon=True).start()

    def _check_free(self) -> None:
        if self.last.is_running:
            raise UsageError("the run that was started here has not ended yet", hint=_WAIT)
        runner = RunHealth.of_site(self._site.ctx.settings).runner
        if runner is not None and is_alive(runner.pid):  # without a lock table it may be dead
            since = duration(self._site.now - runner.since)
            raise UsageError(f"another run has been active for {since}", hint=_WAIT)

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        code = process.wait()
        self.last = StartedRun(self.last.number, exit_code=code if code >= 0 else 128 - code)
