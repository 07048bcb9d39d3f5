"""Sends structure sets by C-STORE to a DICOM node, such as a planning system or an archive.

The bytes of the delivered file are sent unchanged, or in Implicit VR Little Endian if the node
accepts no other. The structure set is delivered only when the node has confirmed this SOP instance
(status 0000, or a warning). Sent twice it is the same SOP instance.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from drawcli.adapters.delivery.judgement import (
    NO_COMMITMENT,
    SUCCESS,
    TargetJudge,
    header_of,
)
from drawcli.adapters.delivery.sendings import RECORD, Sendings, record_of
from drawcli.adapters.delivery.target import Delivery, Remark, keep_nothing
from drawcli.adapters.dicom_network.association import Association, Deadlines
from drawcli.core.delivery.commitment import PUSH_MODEL
from drawcli.core.dicom import tags
from drawcli.core.dicom.header import (
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    Header,
    NotDicom,
)
from drawcli.core.dicom.implicit_vr import encode_implicit_vr
from drawcli.core.dicom.upper_layer import NodeTrouble, ProposedContext
from drawcli.core.protocol.dicom_address import Node, parse_node
from drawcli.errors import TryLater
from drawcli.system.packages import not_installed

if TYPE_CHECKING:
    import ssl

    from drawcli.adapters.delivery.commitment import Commitment
    from drawcli.adapters.dicom_network.commitments import CommitmentAssociation, CommitmentFolder
    from drawcli.adapters.dicom_network.report_listener import ReportListener
    from drawcli.config.sections_delivery import Deliver
    from drawcli.config.sections_network import Receive
    from drawcli.config.sections_targets import Target

_STRUCTURE_SETS: Final = "1.2.840.10008.5.1.4.1.1.481.3"  # RT Structure Set Storage
# What a check of a node proposes.
EXPLICIT: Final = ProposedContext(1, _STRUCTURE_SETS, EXPLICIT_LITTLE)
DEFAULT: Final = ProposedContext(3, _STRUCTURE_SETS, IMPLICIT_LITTLE)
ECHO: Final = ProposedContext(5, "1.2.840.10008.1.1", IMPLICIT_LITTLE)
KEEPING: Final = ProposedContext(7, PUSH_MODEL, IMPLICIT_LITTLE)
_EXPLICIT_ONLY: Final = (
    "accepts structure sets in Explicit VR Little Endian only; those that the server makes in "
    "Implicit VR Little Endian, the default of DICOM, cannot be sent to it"
)


@dataclass(slots=True)
class DicomNode:
    """A node that receives structure sets; once unreachable, it is not tried again in a run.

    A file that it refuses or does not answer does not stop the next one from being sent.
    """

    node: Node
    calling: str  # our own AE title
    deadlines: Deadlines = field(default_factory=Deadlines)
    tls: "ssl.SSLContext | None" = None
    record: str = RECORD  # the file in the work folder of a job that records what was sent
    commitment: "Commitment | None" = None  # None: a file counts as delivered once it is stored
    judge: TargetJudge = field(init=False)

    def __post_init__(self) -> None:
        """Make the judge of its answers."""
        self.judge = TargetJudge(self.describe(), has_folder=self.record == RECORD)

    def describe(self) -> str:
        """Return the name of the node for messages."""
        return f"the DICOM node {self.node}"

    def check(self) -> Remark | None:
        """Test by C-ECHO whether the node accepts structure sets; raise TryLater if not."""
        try:
            but = self.echo()
        except TryLater as err:
            hint = (
                f"It must accept {self.calling} and this machine. Check deliver.node and "
                "deliver.ae_title."
            )
            raise TryLater(str(err), code=err.code, hint=hint) from None
        return Remark(but, "Let it accept Implicit VR Little Endian, too.") if but else None

    def send(self, delivery: Delivery) -> str:
        """Send a structure set; return a report, or the warning of the node."""
        store = partial(
            self.store, delivery.data, delivery.work_folder / self.record, delivery.kept
        )
        if said := store() if self.commitment is None else self._committed(delivery, store):
            return f"warning: {self.describe()} {said}"
        return f"sent to {self.describe()}"

    def _committed(self, delivery: Delivery, store: Callable[[], str]) -> str:
        """Send a file, unless the node has it, and wait for its commitment."""
        header = header_of(delivery.data)
        uids = header.text(tags.SOPClassUID), header.text(tags.SOPInstanceUID)
        wanted = cast("Commitment", self.commitment)
        ask = partial(self._ask, *uids)
        return wanted.deliver(self.describe(), delivery, uids[1], store, ask)

    def _ask(self, sop_class: str, instance: str, transaction: str) -> int | None:
        """Ask for storage commitment; return the result if the node reports at once."""
        self.judge.check_reachable()
        wanted = cast("Commitment", self.commitment)
        with wanted.listening():
            association = self._connected()
            try:
                wanted.ask(association, self.judge, (sop_class, instance), transaction)
            except NodeTrouble as err:
                raise self.judge.unanswered(str(err), err.hint, may_have=False) from None
        self.judge.answered()
        return wanted.reports.result(transaction)

    def _connected(self) -> "CommitmentAssociation":
        from drawcli.adapters.dicom_network.commitments import CommitmentAssociation

        try:
            return CommitmentAssociation(self.node, self.calling, self.deadlines, self.tls)
        except NodeTrouble as err:
            raise self.judge.away(str(err), err.hint) from None

    def store(self, data: bytes, record: Path, kept: Callable[[], None] = keep_nothing) -> str:
        """Send a file; return the warning of the node, or "".

        Parameters
        ----------
        data
            The bytes of the delivered file.
        record
            The file that records which files of the job the node may have.
        kept
            Called after each change of that file.

        Raises
        ------
        TryLater
            If the node is unreachable, cannot store it now, or gives no valid answer.
        NeedsPerson
            If it refuses this file, or has another with the same SOP Instance UID.
        """
        self.judge.check_reachable()
        header = header_of(data)
        sha256, sendings = hashlib.sha256(data).hexdigest(), Sendings(record, self.node, kept)
        had_before = sendings.are_only(sha256)
        offers = offers_for(header.text(tags.SOPClassUID), header.transfer_syntax)
        association = self._associated(offers)
        try:
            with association:
                status = self._sent(association, header, offers, lambda: sendings.add(sha256))
        except NodeTrouble as err:
            may_have = sendings.include(sha256)
            raise self.judge.unanswered(str(err), err.hint, may_have=may_have) from None
        return self.judge.settled(status, sendings, sha256, had_before=had_before)

    def echo(self) -> str:
        """Test whether the node answers a C-ECHO and accepts structure sets.

        Returns a remark on a node that does, or "".

        Raises
        ------
        TryLater
            If it is unreachable, or does not accept them.
        """
        offers = [EXPLICIT, DEFAULT, ECHO, *([KEEPING] if self.commitment else [])]
        association = self._associated(offers)
        try:
            with association:
                if not (association.accepts(EXPLICIT) or association.accepts(DEFAULT)):
                    raise self.judge.later("does not accept structure sets")
                if not association.accepts(ECHO):
                    raise self.judge.later("does not accept C-ECHO")
                if self.commitment is not None and not association.accepts(KEEPING):
                    raise self.judge.later(*NO_COMMITMENT)
                status = association.echo(ECHO)
        except NodeTrouble as err:
            raise self.judge.away(str(err), err.hint) from None
        if status != SUCCESS:
            raise self.judge.later(f"answers a C-ECHO with status {status:04X}")
        if association.accepts(DEFAULT):
            return ""
        return _EXPLICIT_ONLY

    def _associated(self, offers: Sequence[ProposedContext]) -> Association:
        try:
            return Association(self.node, self.calling, offers, self.deadlines, self.tls)
        except NodeTrouble as err:
            raise self.judge.away(str(err), err.hint) from None

    def _sent(
        self,
        association: Association,
        header: Header,
        offers: Sequence[ProposedContext],
        before_last: Callable[[], None],
    ) -> int:
        """Send a file in the first transfer syntax that the node accepts; return the status."""
        offer = next(filter(association.accepts, offers), None)
        if offer is None:
            raise self.judge.later(
                "does not accept structure sets as they are coded or in Implicit VR Little Endian"
            )
        if offer.transfer_syntax == header.transfer_syntax:
            first = next(iter(header.elements.values()))
            data: bytes | memoryview = memoryview(header.data)[first.start :]
        else:
            data = self._converted(header)
        return association.store(offer, header.text(tags.SOPInstanceUID), data, before_last)

    def _converted(self, header: Header) -> bytes:
        try:
            return encode_implicit_vr(header)
        except NotDicom as err:
            why = f"accepts Implicit VR Little Endian only; a file cannot be converted to it: {err}"
            raise self.judge.later(why) from None


def opened(deliver: "Deliver") -> DicomNode:
    """Return the node of a site; raise ConfigError if pynetdicom is not installed."""
    _check_installed("deliver.node", "Or remove deliver.node.")
    return DicomNode(parse_node(deliver.node), deliver.ae_title)


def opened_target(
    target: "Target", calling: str, state_dir: Path, receive: "Receive | None" = None
) -> DicomNode:
    """Return a node of `deliver.targets`.

    Parameters
    ----------
    target
        One with a node.
    calling
        Our AE title, if the target has none of its own.
    state_dir
        Of the site; reports of commitment are in it.
    receive
        Where to listen for reports, at a site without `drawcli receive`.

    Raises
    ------
    ConfigError
        If pynetdicom is not installed, or the files of `tls` cannot be used.
    """
    _check_installed("a node of deliver.targets", "Or remove it.")
    tls = None
    if target.tls is not None:
        from drawcli.system.network.client_tls import TlsFiles, client_context

        tls = client_context(TlsFiles(target.tls.ca_file, target.tls.cert, target.tls.key))
    node = parse_node(target.node)
    commitment = None
    if target.commitment:
        from drawcli.adapters.delivery.commitment import Commitment
        from drawcli.adapters.dicom_network.commitments import CommitmentFolder

        name = record_of(node).replace("node", "commitment", 1)
        reports = CommitmentFolder.of(state_dir)
        commitment = Commitment(reports, name, _listener(receive, reports))
    calling = target.ae_title or calling
    return DicomNode(node, calling, tls=tls, record=record_of(node), commitment=commitment)


def _listener(receive: "Receive | None", reports: "CommitmentFolder") -> "ReportListener | None":
    """Return what listens while a run waits; None if nobody may call, or `receive` does."""
    if receive is None or receive.folder is not None or not receive.callers:
        return None
    from drawcli.adapters.dicom_network.report_listener import ReportListener

    return ReportListener(receive, reports)


def _check_installed(what: str, or_else: str) -> None:
    try:
        import pynetdicom
    except ImportError as err:
        raise not_installed(what, "dicom-net", code="dicom-net", or_else=or_else) from err
    logging.getLogger(pynetdicom.__name__).setLevel(logging.CRITICAL)  # it may log patient data


def offers_for(sop_class: str, transfer_syntax: str) -> list[ProposedContext]:
    """Return the contexts for a file: its transfer syntax and the default one (PS3.5 10.1)."""
    syntaxes = dict.fromkeys((transfer_syntax, IMPLICIT_LITTLE))
    return [ProposedContext(2 * n + 1, sop_class, syntax) for n, syntax in enumerate(syntaxes)]
