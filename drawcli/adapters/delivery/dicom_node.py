"""Sends structure sets by C-STORE to a DICOM node, such as a planning system or an archive.

The bytes of the delivered file are sent unchanged, or in Implicit VR Little Endian if the node
accepts no other. The structure set is delivered only when the node has confirmed this SOP instance
(status 0000, or a warning). Sent twice it is the same SOP instance.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drawcli.adapters.delivery.sendings import RECORD, Sendings
from drawcli.adapters.delivery.target import Delivery, Remark
from drawcli.adapters.dicom_network.association import Association, Deadlines
from drawcli.core.dicom import tags
from drawcli.core.dicom.dimse import is_success
from drawcli.core.dicom.header import (
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    Header,
    Incomplete,
    NotDicom,
    read_header,
)
from drawcli.core.dicom.implicit_vr import encode_implicit_vr
from drawcli.core.dicom.upper_layer import NodeTrouble, ProposedContext
from drawcli.core.protocol.dicom_address import Node, parse_node
from drawcli.errors import NODE, BadStructureSet, NeedsPerson, TryLater
from drawcli.system.limits import SILENT_IN_A_ROW, SILENT_IN_ALL
from drawcli.system.packages import not_installed

if TYPE_CHECKING:
    from drawcli.config.sections_delivery import Deliver

_STRUCTURE_SETS: Final = "1.2.840.10008.5.1.4.1.1.481.3"  # RT Structure Set Storage
_VERIFICATION: Final = "1.2.840.10008.1.1"
_SUCCESS: Final = 0x0000
_CHANGED: Final = frozenset({0xB000, 0xB006, 0xB007})  # stored, with elements changed or left out
_FULL: Final = range(0xA700, 0xA800)
_NOT_AUTHORISED: Final = 0x0124
_DUPLICATE: Final = 0x0111
_PENDING: Final = frozenset({0xFF00, 0xFF01})
_EXPLICIT_ONLY: Final = (
    "accepts structure sets in Explicit VR Little Endian only; those that the server makes in "
    "Implicit VR Little Endian, the default of DICOM, cannot be sent to it"
)
_HINT: Final = "Run 'drawcli doctor' to test the node. The checked file is kept with the job."


@dataclass(slots=True)
class DicomNode:
    """A node that receives structure sets; once unreachable, it is not tried again in a run.

    A file that it refuses or does not answer does not stop the next one from being sent.
    """

    node: Node
    calling: str  # our own AE title
    deadlines: Deadlines = field(default_factory=Deadlines)
    _away: NodeTrouble | None = field(default=None, init=False)
    _silent: int = field(default=0, init=False)  # number of files in a row without an answer
    _silences: int = field(default=0, init=False)  # number of files without an answer

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
        if said := self.store(delivery.data, delivery.work_folder / RECORD):
            return f"warning: {self.describe()} {said}"
        return f"sent to {self.describe()}"

    def store(self, data: bytes, record: Path) -> str:
        """Send a file; return the warning of the node, or "".

        Parameters
        ----------
        data
            The bytes of the delivered file.
        record
            The file that records which files of the job the node may have.

        Raises
        ------
        TryLater
            If the node is unreachable, cannot store it now, or gives no valid answer.
        NeedsPerson
            If it refuses this file, or has another with the same SOP Instance UID.
        """
        if self._away is not None:
            raise self._gone(self._away)
        header = _header(data)
        sha256, sendings = hashlib.sha256(data).hexdigest(), Sendings(record, self.node)
        had_before = sendings.are_only(sha256)
        offers = _offers_for(header)
        association = self._associated(offers)
        try:
            with association:
                status = self._sent(association, header, offers, lambda: sendings.add(sha256))
        except NodeTrouble as err:
            raise self._unanswered(err, may_have=sendings.include(sha256)) from None
        self._silent = 0
        if status == _DUPLICATE and not had_before:
            sendings.settle(sha256)  # the hint asks the user to compare before a release
            raise self._has_another()
        said = self._judged(status)
        sendings.settle(sha256)
        return said

    def echo(self) -> str:
        """Test whether the node answers a C-ECHO and accepts structure sets.

        Returns a remark on a node that does, or "".

        Raises
        ------
        TryLater
            If it is unreachable, or does not accept them.
        """
        explicit = ProposedContext(1, _STRUCTURE_SETS, EXPLICIT_LITTLE)
        default = ProposedContext(3, _STRUCTURE_SETS, IMPLICIT_LITTLE)
        verification = ProposedContext(5, _VERIFICATION, IMPLICIT_LITTLE)
        association = self._associated([explicit, default, verification])
        try:
            with association:
                if not (association.accepts(explicit) or association.accepts(default)):
                    raise self._later("does not accept structure sets")
                if not association.accepts(verification):
                    raise self._later("does not accept C-ECHO")
                status = association.echo(verification)
        except NodeTrouble as err:
            raise self._gone(err) from None
        if status != _SUCCESS:
            raise self._later(f"answers a C-ECHO with status {status:04X}")
        if association.accepts(default):
            return ""
        return _EXPLICIT_ONLY

    def _associated(self, offers: Sequence[ProposedContext]) -> Association:
        try:
            return Association(self.node, self.calling, offers, self.deadlines)
        except NodeTrouble as err:
            raise self._gone(err) from None

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
            raise self._later(
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
            raise self._later(why) from None

    def _unanswered(self, err: NodeTrouble, *, may_have: bool) -> TryLater:
        """Return the error for a missing answer; after several the node counts as unreachable."""
        self._silent, self._silences = self._silent + 1, self._silences + 1
        if self._silent >= SILENT_IN_A_ROW or self._silences >= SILENT_IN_ALL:
            self._away = err
        unsure = "; it may have the structure set, which is sent again" if may_have else ""
        return self._later(f"{err}{unsure}", err.hint)

    def _judged(self, status: int) -> str:
        """Return the warning of a C-STORE status (PS3.4 table B.2-1), or ""; raise if refused."""
        if status == _SUCCESS:
            return ""
        if status in _CHANGED:
            return f"stored it with changes of its own (status {status:04X})"
        if status == _DUPLICATE:
            return f"has it from an earlier try (status {status:04X})"
        if is_success(status):  # of the class "warning": it is stored (PS3.7 annex C)
            return f"stored it with an unknown warning (status {status:04X})"
        if status in _FULL:
            raise self._later(f"is out of resources (status {status:04X})")
        if status == _NOT_AUTHORISED:
            raise self._later(f"is not authorised to store it (status {status:04X})")
        what = "does not confirm that it has stored" if status in _PENDING else "refuses"
        raise NeedsPerson(
            f"the DICOM node {self.node} {what} the structure set (status {status:04X})",
            code="node-refused",
            hint="See its log. Release the job to send it again; the file is in its folder.",
        )

    def _has_another(self) -> NeedsPerson:
        return NeedsPerson(
            f"the DICOM node {self.node} already has a structure set with this SOP Instance UID "
            f"(status {_DUPLICATE:04X}), and drawcli has no record that it is this file",
            code="node-duplicate",
            hint="Compare the two in the planning system. If they are the same, or after you have "
            "removed the other, release the job.",
        )

    def _gone(self, trouble: NodeTrouble) -> TryLater:
        self._away = trouble
        return self._later(str(trouble), trouble.hint)

    def _later(self, why: str, hint: str = "") -> TryLater:
        return TryLater(f"the DICOM node {self.node} {why}", code=NODE, hint=hint or _HINT)


def opened(deliver: "Deliver") -> DicomNode:
    """Return the node of a site; raise ConfigError if pynetdicom is not installed."""
    try:
        import pynetdicom
    except ImportError as err:
        or_else = "Or remove deliver.node."
        raise not_installed("deliver.node", "dicom-net", code="dicom-net", or_else=or_else) from err
    logging.getLogger(pynetdicom.__name__).setLevel(logging.CRITICAL)  # it may log patient data
    return DicomNode(parse_node(deliver.node), deliver.ae_title)


def _header(data: bytes) -> Header:
    try:
        header = read_header(data, complete=True)
    except (NotDicom, Incomplete):
        raise BadStructureSet("the delivered file cannot be read", code="not-dicom") from None
    if not (header.text(tags.SOPClassUID) and header.text(tags.SOPInstanceUID)):
        raise BadStructureSet("the delivered file has no SOP UIDs", code="not-dicom")
    return header


def _offers_for(header: Header) -> list[ProposedContext]:
    """Return the contexts for a file: its transfer syntax and the default one (PS3.5 10.1)."""
    syntaxes = dict.fromkeys((header.transfer_syntax, IMPLICIT_LITTLE))
    sop_class = header.text(tags.SOPClassUID)
    return [ProposedContext(2 * n + 1, sop_class, syntax) for n, syntax in enumerate(syntaxes)]
