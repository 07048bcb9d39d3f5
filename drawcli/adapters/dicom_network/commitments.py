"""Storage commitment: ask a node for it, and the reports that nodes have sent.

A report may arrive in the association of the request, or later in one that the node opens to
`drawcli receive`. Both store it in `state_dir/commitments`, where the next try of the job finds it.
Only reports about transactions that drawcli has begun are stored.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from drawcli.adapters.dicom_network.association import Association, Deadlines
from drawcli.adapters.dicom_network.connection import Phase
from drawcli.core.delivery.commitment import (
    ACTION,
    PUSH_INSTANCE,
    PUSH_MODEL,
    CommitmentReport,
    action_command,
    action_data,
    parse_report,
    parse_report_request,
    report_response,
)
from drawcli.core.dicom.dimse import MESSAGE_ID, DimseRequest
from drawcli.core.dicom.header import IMPLICIT_LITTLE
from drawcli.core.dicom.upper_layer import (
    ABORT,
    NodeTrouble,
    Pdu,
    ProposedContext,
    parse_fragments,
)
from drawcli.core.protocol.dicom_address import Node
from drawcli.system.failures import raise_shortage
from drawcli.system.files import make_private, write_durably
from drawcli.system.limits import NODE_ANSWER_BYTES, NODE_REPORT_SECONDS

if TYPE_CHECKING:
    import ssl

FOLDER: Final = "commitments"  # below state_dir
REPORT_SECONDS: Final = NODE_REPORT_SECONDS
SUCCESS, PROCESSING_FAILURE = 0x0000, 0x0110  # statuses of our answer (PS3.7 annex C)
_LOOK_SECONDS: Final = 0.2  # between two looks for a report in another association
_KEPT_SECONDS: Final = 400 * 86_400.0  # of a transaction that no report came for
COMMITMENT: Final = ProposedContext(1, PUSH_MODEL, IMPLICIT_LITTLE)


@dataclass(frozen=True, slots=True)
class CommitmentFolder:
    """The transactions that have been begun, and their results."""

    folder: Path

    @classmethod
    def of(cls, state_dir: Path) -> "CommitmentFolder":
        """Return the folder of a site."""
        return cls(state_dir / FOLDER)

    def begin(self, transaction: str, instance: str) -> None:
        """Record a transaction before it is asked for; durable when this returns."""
        if self._read(transaction) is None:
            make_private(self.folder)
            self._remove_old()
            plain = {"transaction": transaction, "instance": instance, "result": None}
            self._write(transaction, plain)

    def result(self, transaction: str) -> int | None:
        """Return 0 if the instance is kept, or the reason why not; None before the report."""
        plain = self._read(transaction)
        return None if plain is None else plain["result"]

    def store(self, report: CommitmentReport) -> bool:
        """Store a report, durably; return False for a transaction that was not begun here."""
        plain = self._read(report.transaction)
        if plain is None:
            return False
        result = report.result_of(plain["instance"])
        if result is None:
            return False
        if plain["result"] is None:  # the first report counts
            self._write(report.transaction, plain | {"result": result})
        return True

    def forget(self, transaction: str) -> None:
        """Remove a transaction that is finished."""
        self._path(transaction).unlink(missing_ok=True)

    def _path(self, transaction: str) -> Path:
        return self.folder / f"{hashlib.sha256(transaction.encode('ascii')).hexdigest()[:32]}.json"

    def _read(self, transaction: str) -> dict[str, Any] | None:
        try:
            plain = json.loads(self._path(transaction).read_bytes())
            result = plain["result"]
            is_whole = plain["transaction"] == transaction and isinstance(plain["instance"], str)
            return plain if is_whole and (result is None or type(result) is int) else None
        except (OSError, ValueError, KeyError, TypeError) as err:
            raise_shortage(err)
            return None

    def _write(self, transaction: str, plain: dict[str, Any]) -> None:
        write_durably(self._path(transaction), json.dumps(plain).encode("ascii"))

    def _remove_old(self) -> None:
        before = time.time() - _KEPT_SECONDS
        for path in self.folder.glob("*.json"):
            if path.stat().st_mtime < before:
                path.unlink(missing_ok=True)


class CommitmentAssociation(Association):
    """An association that asks a node for storage commitment."""

    def __init__(
        self, node: Node, calling: str, deadlines: Deadlines, tls: "ssl.SSLContext | None" = None
    ) -> None:
        """Request an association; raise NodeTrouble if there is none."""
        super().__init__(node, calling, [COMMITMENT], deadlines, tls)

    def ask(self, transaction: str, sop_class: str, instance: str) -> int:
        """Send an N-ACTION; return the status of the answer; raise NodeTrouble without one."""
        request = DimseRequest(ACTION, PUSH_MODEL, PUSH_INSTANCE)
        data = action_data(transaction, sop_class, instance)
        phase = Phase("did not accept the N-ACTION", self._deadlines.sending(len(data)))

        def send() -> bool:
            command = action_command(MESSAGE_ID)
            return self._sent(COMMITMENT, command, phase, of_command=True) and self._sent(
                COMMITMENT, data, phase
            )

        return self._status(COMMITMENT, request, send, self._deadlines.answer)

    def report(
        self,
        seconds: float,
        keep: Callable[[CommitmentReport], bool],
        is_known: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Return whether a report arrived within some seconds.

        Parameters
        ----------
        seconds
            To wait for it.
        keep
            Stores it, durably, before it is answered; returns False for one that is not ours.
        is_known
            Whether it has come in another association.

        Raises
        ------
        NodeTrouble
            If something else arrives.
        """
        waiting = Phase("", seconds)
        while not self._wire.has_come(min(waiting.left(), _LOOK_SECONDS)):
            if is_known() or not waiting.left():
                return False
        self._unfinished = True
        command, data = self._message()
        request = parse_report_request(command)
        report = parse_report(data, explicit=False, event_type=request.event_type)
        status = SUCCESS if keep(report) else PROCESSING_FAILURE
        answered = Phase("did not accept our answer", self._deadlines.send)
        self._sent(COMMITMENT, report_response(request, status), answered, of_command=True)
        self._unfinished = False
        return True

    def _message(self) -> tuple[bytes, bytes]:
        """Return the command set and the data set of a message."""
        phase, left = Phase("did not finish its report", self._deadlines.rest), NODE_ANSWER_BYTES
        command, data, is_command, ended = b"", b"", True, False
        while not ended:
            kind, body = self._wire.read_pdu(phase, left)
            if kind is not Pdu.DATA:
                raise NodeTrouble("ends the association before its report")
            left -= len(body)
            for fragment in parse_fragments(body):
                if ended or fragment.context != COMMITMENT.context:
                    raise NodeTrouble("sends more than one report")
                if fragment.of_command is not is_command:
                    raise NodeTrouble("sends a report in the wrong order")
                if is_command:
                    command, is_command = command + fragment.content, not fragment.is_last
                else:
                    data, ended = data + fragment.content, fragment.is_last
        return command, data

    def _release(self) -> None:
        """Release the association; a report that comes now is answered in another one."""
        try:
            super()._release()
        except NodeTrouble:
            self._wire.write_at_once(ABORT)
