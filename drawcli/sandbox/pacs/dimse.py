"""The archive as a DICOM node: C-ECHO, C-STORE, C-FIND, C-MOVE and C-GET of the study root.

The files are sent as they are stored, or converted between the uncompressed transfer syntaxes.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from threading import Event as Signal
from typing import TYPE_CHECKING, Any, Final

from pydicom import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, build_context, evt
from pynetdicom.dimse_primitives import C_GET, C_MOVE

from drawcli.errors import UsageError
from drawcli.sandbox.faults import Panel
from drawcli.sandbox.pacs.archive import BadObject, PacsArchive
from drawcli.sandbox.pacs.commitment import Commitments
from drawcli.sandbox.pacs.disturbance import Disturbance, disturbance
from drawcli.sandbox.pacs.options import (
    COMMITMENT,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    PacsOptions,
)
from drawcli.sandbox.pacs.query import (
    BadQuery,
    check_upper_keys,
    find,
    level_of,
    other_study,
    select,
    unsupported_keys,
)
from drawcli.sandbox.pacs.sockets import AssociationSockets, end_before_request

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event

SUCCESS: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700
BAD_IDENTIFIER: Final = 0xA900  # does not match the SOP class
BAD_OBJECT: Final = 0xC000
CANCELLED: Final = 0xFE00
PENDING: Final = 0xFF00
PENDING_KEYS_IGNORED: Final = 0xFF01
_SYNTAXES: Final = (  # uncompressed, deflated, RLE, the JPEG family; not video
    *("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"),
    *("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"),
    *(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91)),
    *(f"1.2.840.10008.1.2.4.{number}" for number in (201, 202, 203)),
)
_ABORTED: Final = 0x0110  # returned by a handler after an abort; it does not reach the peer
_MOST_ASSOCIATIONS: Final = 50
_STALL_SECONDS: Final = 600.0
_STEP_SECONDS: Final = 0.05
_REJECTION: Final = (2, 3, 2)  # transient, by the presentation layer, local limit exceeded

Answer = tuple[int, Dataset | None]


class PacsServer:
    """The node; it listens until it is closed."""

    def __init__(self, archive: PacsArchive, options: PacsOptions, panel: Panel) -> None:
        self._archive = archive
        self._options = options
        self._panel = panel
        self._closed = Signal()
        self._sockets = AssociationSockets()
        self._ae = AE(ae_title=options.ae_title)
        self._ae.maximum_associations = _MOST_ASSOCIATIONS
        _support(self._ae)
        self._commitments = Commitments(self._ae, archive, options.nodes)
        try:
            server = self._ae.start_server(
                (options.host, options.port), block=False, evt_handlers=self._handlers()
            )
        except OSError as err:
            raise UsageError(
                f"--pacs: port {options.port} cannot be opened", hint="Choose another port."
            ) from err
        self.port = int(server.server_address[1]) if server else 0

    def close(self) -> None:
        """End every association, and stop listening."""
        self._closed.set()
        self._commitments.close()
        for association in self._ae.active_associations:
            end_before_request(association)
        self._ae.shutdown()
        self._sockets.close()

    def _handlers(self) -> list[Any]:
        return [
            *self._sockets.handlers(),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_C_ECHO, self._echo),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_C_MOVE, self._move),
            (evt.EVT_C_GET, self._get),
            (evt.EVT_N_ACTION, self._commit),
        ]

    def _due(self, operation: str) -> Disturbance:
        return disturbance(self._panel, operation)

    def _requested(self, event: "Event") -> None:
        """Reject or abort an association, where a fault says so."""
        fault = self._due("associate").what
        if fault == "reject":
            event.assoc.acse.send_reject(*_REJECTION)
            event.assoc.kill()
        elif fault == "abort":
            event.assoc.abort()

    def _instead(self, event: "Event", fault: Disturbance) -> int | None:
        """Stall, abort, or return a status, instead of an answer; None without such a fault."""
        if fault.what == "stall":
            self._stall(event.assoc)
        if fault.what in ("stall", "abort"):
            event.assoc.abort()
            return _ABORTED
        return fault.status

    def _stall(self, association: "Association") -> None:
        """Wait until the peer gives up."""
        end = time.monotonic() + _STALL_SECONDS
        while time.monotonic() < end and not association.acse.is_aborted():
            if self._closed.wait(_STEP_SECONDS):
                return

    def _echo(self, event: "Event") -> int:
        return self._instead(event, self._due("echo")) or SUCCESS

    def _store(self, event: "Event") -> int:
        fault = self._due("store")
        content = event.encoded_dataset()
        self._closed.wait(fault.seconds(len(content)))
        instead = self._instead(event, fault)
        if instead is not None or fault.what == "lose":
            return instead or SUCCESS
        try:
            self._archive.store(content)
        except BadObject:
            return BAD_OBJECT
        except OSError:
            return OUT_OF_RESOURCES
        if fault.what == "lost":
            event.assoc.abort()
        return SUCCESS

    def _find(self, event: "Event") -> Iterator[Answer]:
        fault = self._due("find")
        instead = None if fault.what == "abort" else self._instead(event, fault)
        if instead is not None:
            yield instead, None
            return
        try:
            query = event.identifier
            level = level_of(query)
            check_upper_keys(query, level)
        except BadQuery:
            yield BAD_IDENTIFIER, None
            return
        answers = find(self._archive.headers(), _without_values(query, fault), level)
        pending = PENDING_KEYS_IGNORED if unsupported_keys(query, level) else PENDING
        for answer in self._results(event, fault, answers):
            answer.QueryRetrieveLevel = level
            answer.RetrieveAETitle = self._options.ae_title
            yield pending, answer

    def _results(
        self, event: "Event", fault: Disturbance, results: list[Dataset]
    ) -> Iterator[Dataset]:
        """Yield results, with their faults, until the peer cancels or the archive aborts."""
        if fault.what == "lose":
            results = results[::2]
        for number, result in enumerate(results):
            if fault.what == "abort" and 2 * number >= len(results) - 1:
                event.assoc.abort()
                return
            if event.is_cancelled or self._closed.is_set():
                return
            yield result

    def _move(self, event: "Event") -> Iterator[Any]:
        """Send instances to a known node: yields its address, their number, and each of them."""
        address = self._options.nodes.get(str(event.move_destination or "").strip())
        if address is None:
            yield None, None  # answered with A801
            return
        fault = self._due("move")
        chosen = self._chosen(event, fault)
        contexts = _contexts([] if isinstance(chosen, int) else chosen)
        yield (*address, {"contexts": contexts, "evt_handlers": self._sockets.handlers()})
        yield from self._sent(event, fault, chosen)

    def _get(self, event: "Event") -> Iterator[Any]:
        """Send instances in the association of the peer."""
        fault = self._due("get")
        yield from self._sent(event, fault, self._chosen(event, fault))

    def _chosen(self, event: "Event", fault: Disturbance) -> list[Dataset] | int:
        """Return the headers of what is asked for, or the status of a refusal."""
        instead = None if fault.what == "abort" else self._instead(event, fault)
        if instead is not None:
            return instead
        headers = self._archive.headers()
        try:
            chosen = select(headers, event.identifier, level_of(event.identifier))
        except BadQuery:
            return BAD_IDENTIFIER
        if fault.what == "other" and chosen:
            chosen += other_study(headers, chosen)
        return chosen

    def _sent(
        self, event: "Event", fault: Disturbance, chosen: list[Dataset] | int
    ) -> Iterator[Any]:
        """Yield the number of instances, and each with its status, or the refusal."""
        if isinstance(chosen, int):
            _edit_responses(event.assoc, partial(_refuse, chosen))
            yield 0  # without an association to the destination
            return
        yield len(chosen)
        if fault.what == "count":
            _edit_responses(event.assoc, _miscount)
        for header in self._results(event, fault, chosen):
            self._closed.wait(fault.seconds(self._archive.size(header)))
            yield PENDING, self._archive.dataset(header)
        if event.is_cancelled:
            yield CANCELLED, None

    def _commit(self, event: "Event") -> Answer:
        """Accept a request for storage commitment; its report follows."""
        fault = self._due("commit")
        instead = self._instead(event, fault)
        if instead is not None:
            return instead, None
        if fault.what != "lose":
            self._commitments.report_later(event, fault.what)
        return SUCCESS, None


def _support(ae: AE) -> None:
    for storage in AllStoragePresentationContexts:
        ae.add_supported_context(
            str(storage.abstract_syntax), list(_SYNTAXES), scu_role=True, scp_role=True
        )
    services = (VERIFICATION, STUDY_ROOT_FIND, STUDY_ROOT_MOVE, STUDY_ROOT_GET, COMMITMENT)
    for service in services:
        ae.add_supported_context(service)


def _contexts(chosen: Iterable[Dataset]) -> list[Any]:
    """Return a context for each SOP class and transfer syntax that is to be sent."""
    pairs = {(str(one.SOPClassUID), str(one.file_meta.TransferSyntaxUID)) for one in chosen}
    return [build_context(sop_class, syntax) for sop_class, syntax in sorted(pairs)] or [
        build_context(VERIFICATION)
    ]


def _without_values(query: Dataset, fault: Disturbance) -> Dataset:
    if fault.what != "ignore-keys":
        return query
    empty = Dataset()
    for element in query:
        empty.add_new(element.tag, element.VR, None)
    return empty


def _edit_responses(association: "Association", edit: Callable[[Any], None]) -> None:
    """Change each response to the present C-GET or C-MOVE before it is sent."""
    dimse = association.dimse
    send = dimse.send_msg

    def edited(primitive: Any, context_id: int) -> None:
        if isinstance(primitive, C_GET | C_MOVE) and primitive.Status is not None:
            if primitive.Status != PENDING:  # the last one
                dimse.send_msg = send  # type: ignore[method-assign]
            edit(primitive)
        send(primitive, context_id)

    dimse.send_msg = edited  # type: ignore[method-assign]


def _refuse(status: int, response: Any) -> None:
    response.Status = status


def _miscount(response: Any) -> None:
    response.NumberOfCompletedSuboperations = (response.NumberOfCompletedSuboperations or 0) + 1
