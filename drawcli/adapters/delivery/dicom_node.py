"""A structure set sent on by C-STORE to a DICOM node: a planning system, an archive.

The bytes that were delivered into the folder go out as they are, or in Implicit VR Little Endian to
a node that takes no other. A node has them when it says so of this very SOP instance (status 0000,
or a warning): only then is the structure set delivered. Sent twice it is the same SOP instance.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drawcli.adapters.delivery.association import Association, Deadlines
from drawcli.adapters.delivery.sendings import RECORD, Sendings
from drawcli.adapters.delivery.target import Delivery, Remark
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
from drawcli.errors import NODE, BadStructureSet, ConfigError, NeedsPerson, TryLater
from drawcli.system.limits import SILENT_IN_A_ROW, SILENT_IN_ALL

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
    "takes structure sets in Explicit VR Little Endian only; those that the server makes in "
    "Implicit VR Little Endian, the default of DICOM, cannot be sent to it"
)
_HINT: Final = "'drawcli doctor' asks the node. The checked file stays with the job."


@dataclass(slots=True)
class DicomNode:
    """A node that structure sets are sent to; one that is away is not asked again in a run.

    What it says of one file says nothing of the next: one that it cannot digest, or is silent
    about, keeps no other from being sent.
    """

    node: Node
    calling: str  # our own AE title
    deadlines: Deadlines = field(default_factory=Deadlines)
    _away: NodeTrouble | None = field(default=None, init=False)
    _silent: int = field(default=0, init=False)  # how many files in a row it has not answered
    _silences: int = field(default=0, init=False)  # how many in all

    def describe(self) -> str:
        """Return which node it is."""
        return f"the DICOM node {self.node}"

    def check(self) -> Remark | None:
        """Ask the node whether it is there and takes structure sets; raise TryLater where not."""
        try:
            but = self.echo()
        except TryLater as err:
            hint = (
                f"It has to know {self.calling}, and this machine. Look at deliver.node and "
                "deliver.ae_title."
            )
            raise TryLater(str(err), code=err.code, hint=hint) from None
        return Remark(but, "Let it take Implicit VR Little Endian, too.") if but else None

    def send(self, delivery: Delivery) -> str:
        """Send a structure set; return that it was sent, or what the node said besides."""
        if said := self.store(delivery.data, delivery.work_folder / RECORD):
            return f"warning: {self.describe()} {said}"
        return f"sent to {self.describe()}"

    def store(self, data: bytes, record: Path) -> str:
        """Send a file; return what the node said besides that it has it, or "".

        Parameters
        ----------
        data
            The delivered file, whole.
        record
            Where to note what the node may have of the job.

        Raises
        ------
        TryLater
            Where the node is away, cannot take it now, or gives no answer that can be believed.
        NeedsPerson
            Where it refuses this file, or has another one of the same SOP Instance UID.
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
            sendings.settle(sha256)  # whoever releases the job has been asked
            raise self._has_another()
        said = self._judged(status)
        sendings.settle(sha256)
        return said

    def echo(self) -> str:
        """Ask whether the node is there and takes structure sets.

        Returns what should be known of a node that does, or "".

        Raises
        ------
        TryLater
            Where it is not there, or does not take them.
        """
        explicit = ProposedContext(1, _STRUCTURE_SETS, EXPLICIT_LITTLE)
        default = ProposedContext(3, _STRUCTURE_SETS, IMPLICIT_LITTLE)
        verification = ProposedContext(5, _VERIFICATION, IMPLICIT_LITTLE)
        association = self._associated([explicit, default, verification])
        try:
            with association:
                if not (association.accepts(explicit) or association.accepts(default)):
                    raise self._later("does not take structure sets")
                if not association.accepts(verification):
                    raise self._later("does not take C-ECHO")
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
        """Send a file in the first transfer syntax that the node takes; return the status."""
        offer = next(filter(association.accepts, offers), None)
        if offer is None:
            raise self._later(
                "does not take structure sets as they are coded, nor in Implicit VR Little Endian"
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
            why = (
                f"takes Implicit VR Little Endian only, to which a file cannot be converted: {err}"
            )
            raise self._later(why) from None

    def _unanswered(self, err: NodeTrouble, *, may_have: bool) -> TryLater:
        """Return that a file is tried again; after some the node counts as away."""
        self._silent, self._silences = self._silent + 1, self._silences + 1
        if self._silent >= SILENT_IN_A_ROW or self._silences >= SILENT_IN_ALL:
            self._away = err
        unsure = "; it may have the structure set, and gets it again" if may_have else ""
        return self._later(f"{err}{unsure}", err.hint)

    def _judged(self, status: int) -> str:
        """Return what to say of a status of C-STORE (PS3.4 table B.2-1) that means: stored."""
        if status == _SUCCESS:
            return ""
        if status in _CHANGED:
            return f"stored it with changes of its own (status {status:04X})"
        if status == _DUPLICATE:
            return f"has had it since an earlier try (status {status:04X})"
        if is_success(status):  # of the class "warning": it was done (PS3.7 annex C)
            return f"stored it with a warning that C-STORE does not have (status {status:04X})"
        if status in _FULL:
            raise self._later(f"is out of resources (status {status:04X})")
        if status == _NOT_AUTHORISED:
            raise self._later(f"does not allow it (status {status:04X})")
        what = "does not say whether it has stored" if status in _PENDING else "refuses"
        raise NeedsPerson(
            f"the DICOM node {self.node} {what} the structure set (status {status:04X})",
            code="node-refused",
            hint="Its log says why. Release the job to send it again; the file lies in its folder.",
        )

    def _has_another(self) -> NeedsPerson:
        return NeedsPerson(
            f"the DICOM node {self.node} has a structure set of this SOP Instance UID already "
            f"(status {_DUPLICATE:04X}), and not this file as far as is on record",
            code="node-duplicate",
            hint="Compare the two in the planning system. If it is the same, or once you have "
            "removed the one there, release the job.",
        )

    def _gone(self, trouble: NodeTrouble) -> TryLater:
        self._away = trouble
        return self._later(str(trouble), trouble.hint)

    def _later(self, why: str, hint: str = "") -> TryLater:
        return TryLater(f"the DICOM node {self.node} {why}", code=NODE, hint=hint or _HINT)


def opened(deliver: "Deliver") -> DicomNode:
    """Return the node of a site; raise ConfigError where what speaks DICOM is not installed."""
    try:
        import pynetdicom
    except ImportError as err:
        raise ConfigError(
            "deliver.node needs a package that is not installed",
            code="dicom-net",
            hint="Install its extra 'dicom-net' (docs/installing.md), or remove deliver.node.",
        ) from err
    logging.getLogger(pynetdicom.__name__).setLevel(logging.CRITICAL)  # it may quote what it sends
    return DicomNode(parse_node(deliver.node), deliver.ae_title)


def _header(data: bytes) -> Header:
    try:
        header = read_header(data, complete=True)
    except (NotDicom, Incomplete):
        raise BadStructureSet("the delivered file cannot be read", code="not-dicom") from None
    if not (header.text(tags.SOPClassUID) and header.text(tags.SOPInstanceUID)):
        raise BadStructureSet("the delivered file does not say what it is", code="not-dicom")
    return header


def _offers_for(header: Header) -> list[ProposedContext]:
    """Return what is offered for a file: as it is coded, and the default of DICOM (PS3.5 10.1)."""
    syntaxes = dict.fromkeys((header.transfer_syntax, IMPLICIT_LITTLE))
    sop_class = header.text(tags.SOPClassUID)
    return [ProposedContext(2 * n + 1, sop_class, syntax) for n, syntax in enumerate(syntaxes)]
