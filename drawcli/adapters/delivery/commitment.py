"""Wait until a node has committed to keep a structure set, before it counts as delivered.

The node gets the file once. A later try of the job looks for the report, and asks again with the
same transaction. If the node reports that it does not keep the file, it is sent once more; if it
reports so again, a person is asked.
"""

import hashlib
import json
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from drawcli.adapters.delivery.judgement import (
    DUPLICATE,
    NO_COMMITMENT,
    SUCCESS,
    TargetJudge,
)
from drawcli.adapters.delivery.target import Delivery
from drawcli.adapters.dicom_network.commitments import CommitmentAssociation, CommitmentFolder
from drawcli.adapters.dicom_network.report_listener import ReportListener
from drawcli.errors import COMMITMENT, NeedsPerson, TryLater
from drawcli.system.failures import raise_shortage
from drawcli.system.files import write_durably

MOST_FAILURES: Final = 2  # reports that the file is not kept; then a person is asked
_HINT: Final = (
    "The node has the file. If no report comes: does it know the address and the AE title of "
    "'drawcli receive', or of receive.listen? 'drawcli doctor' checks it."
)
Ask = Callable[[str], "int | None"]  # a transaction; returns its result, or None before the report


@dataclass(frozen=True, slots=True)
class PendingCommitment:
    """A file that a node has, and has not committed to keep yet."""

    sha256: str
    transaction: str = ""  # "": it is to be sent
    said: str = ""  # the node's warning when it stored the file
    failures: int = 0

    @classmethod
    def read(cls, path: Path, sha256: str) -> "PendingCommitment":
        """Return the record of a file; a record that is damaged, or of another, is none."""
        try:
            plain = json.loads(path.read_bytes())
            if plain["sha256"] == sha256:
                texts = str(plain["transaction"]), str(plain["said"])
                return cls(sha256, *texts, int(plain["failures"]))
        except (OSError, ValueError, KeyError, TypeError) as err:
            raise_shortage(err)
        return cls(sha256)

    def write(self, path: Path) -> None:
        """Write the record; durable when this returns."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        write_durably(path, json.dumps(plain).encode("utf-8"))


@dataclass(frozen=True, slots=True)
class Commitment:
    """The storage commitment of one node."""

    reports: CommitmentFolder
    record: str  # name of the file in the work folder of a job
    listener: ReportListener | None = None  # while a report is waited for; None: `receive` listens

    def listening(self) -> AbstractContextManager[object]:
        """Listen for reports until the block ends, if nobody else does."""
        return nullcontext() if self.listener is None else self.listener.listening()

    def ask(
        self,
        association: "CommitmentAssociation",
        judge: TargetJudge,
        named: tuple[str, str],
        transaction: str,
    ) -> None:
        """Send the request for an instance, and wait a moment for the report.

        Parameters
        ----------
        association
            A new one; it ends here.
        judge
            Of the node.
        named
            SOP class and instance.
        transaction
            Its Transaction UID.

        Raises
        ------
        TryLater
            If the node does not take the request.
        NodeTrouble
            If it does not answer.
        """
        from drawcli.adapters.dicom_network.commitments import COMMITMENT, REPORT_SECONDS

        with association:
            if not association.accepts(COMMITMENT):
                raise judge.later(*NO_COMMITMENT)
            status = association.ask(transaction, *named)
            if status not in (SUCCESS, DUPLICATE):  # asked before: the report will come
                why = f"does not take the request to keep it (status {status:04X})"
                raise judge.later(why)
            association.report(
                REPORT_SECONDS,
                self.reports.store,
                lambda: self.reports.result(transaction) is not None,
            )

    def deliver(
        self, who: str, delivery: Delivery, instance: str, store: Callable[[], str], ask: Ask
    ) -> str:
        """Return the node's warning of a file that it has stored and keeps, or "".

        Parameters
        ----------
        who
            The node, for messages.
        delivery, instance
            The file and its SOP Instance UID.
        store
            Sends the file; returns the node's warning.
        ask
            Asks the node for commitment.

        Raises
        ------
        TryLater
            If it has not reported yet, or does not keep the file for the first time.
        NeedsPerson
            If it does not keep the file although it was sent twice.
        """
        path = delivery.work_folder / self.record
        pending = PendingCommitment.read(path, hashlib.sha256(delivery.data).hexdigest())
        if not pending.transaction:
            said = store()
            pending = replace(pending, transaction=f"2.25.{uuid.uuid4().int}", said=said)
            pending.write(path)
            delivery.kept()
        self.reports.begin(pending.transaction, instance)
        result = self.reports.result(pending.transaction)
        if result is None:
            result = ask(pending.transaction)
        if result is None:
            text = f"{who} has the structure set, and has not reported yet that it keeps it"
            raise TryLater(text, code=COMMITMENT, hint=_HINT)
        if result:
            raise self._failed(who, pending, path, result)
        path.unlink(missing_ok=True)
        self.reports.forget(pending.transaction)
        return pending.said

    def _failed(
        self, who: str, pending: PendingCommitment, path: Path, reason: int
    ) -> TryLater | NeedsPerson:
        """Return the error for a report that the file is not kept; it is to be sent again."""
        failures = pending.failures + 1
        again = failures < MOST_FAILURES
        replace(pending, transaction="", said="", failures=failures * again).write(path)
        self.reports.forget(pending.transaction)
        text = f"{who} reports that it does not keep the structure set (reason {reason:04X})"
        if again:
            return TryLater(f"{text}; it is sent again", code=COMMITMENT, hint="See its log.")
        hint = "See its log, and whether it has room. Release the job to send it again."
        return NeedsPerson(f"{text}, for the second time", code="commitment-failed", hint=hint)
