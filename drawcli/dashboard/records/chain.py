"""Whether the chain of the audit log is whole: checked once for each state of its files."""

from threading import Lock

from drawcli.adapters.state.audit_log import AuditLog, ChainReport


class VerifiedChain:
    """The last check of a log; safe for any number of threads."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._lock = Lock()
        self._last: tuple[object, ChainReport] | None = None

    def report(self) -> ChainReport:
        """Return the check of the log as it is now; some seconds for 100,000 new lines."""
        with self._lock:
            stamp = self._log.stamp
            if self._last is None or self._last[0] != stamp:
                self._last = (stamp, self._log.verify())
            return self._last[1]
