"""A structure set sent on by C-STORE to a DICOM node: a planning system, an archive.

The bytes that were delivered into the folder go out as they are; nothing is encoded anew. A node
has them when it says so (status 0000, or a warning): only then is the structure set delivered. The
same file twice is the same SOP instance, which a node stores over itself.
"""

import logging
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drawcli.core.node import Node, node_of
from drawcli.errors import NODE, ConfigError, NeedsPerson, TryLater

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pynetdicom.association import Association
    from pynetdicom.presentation import PresentationContext

    from drawcli.sections import Deliver

_CONNECT_SECONDS: Final = 15.0
_ANSWER_SECONDS: Final = 120.0  # a planning system may file what it gets before it answers
_SUCCESS: Final = 0x0000
_CHANGED: Final = frozenset({0xB000, 0xB006, 0xB007})  # stored, with elements changed or left out
_FULL: Final = range(0xA700, 0xA800)
_NOT_AUTHORISED: Final = 0x0124
_SILENT_ENOUGH: Final = 2  # each costs the whole time that an answer is given
_HINT: Final = "'drawcli doctor' asks the node. The checked file stays with the job."


@dataclass(slots=True)
class DicomNode:
    """A node that structure sets are sent to; one that is away is not asked again in a run.

    What it says of one file says nothing of the next: one that it cannot digest, or is silent
    about, keeps no other from being sent.
    """

    node: Node
    calling: str  # our own AE title
    connect_seconds: float = _CONNECT_SECONDS
    answer_seconds: float = _ANSWER_SECONDS
    _away: str = field(default="", init=False)
    _silent: int = field(default=0, init=False)  # how many files in a row it has not answered

    def store(self, path: Path) -> str:
        """Send a file; return what the node said besides that it has it, or "".

        Raises
        ------
        TryLater
            Where the node is away, or cannot take it now.
        NeedsPerson
            Where it refuses this file.
        """
        from pydicom.filereader import read_file_meta_info
        from pynetdicom import build_context

        if self._away:
            raise self._later(self._away)
        try:
            meta = read_file_meta_info(path)
        except OSError as err:
            raise TryLater(
                "the delivered file is gone before the DICOM node had it",
                code=NODE,
                hint="Let no importer take it away, or take deliver.node out of the settings.",
            ) from err
        context = build_context(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
        with self._associated(context, "structure sets as they are coded") as association:
            answer = association.send_c_store(path)
        if "Status" in answer:
            self._silent = 0
            return self._judged(int(answer.Status))
        self._silent += 1
        why = "has not answered; it may have the file, and gets it again"
        raise self._gone(why) if self._silent >= _SILENT_ENOUGH else self._later(why)

    def echo(self) -> None:
        """Ask whether the node is there and takes structure sets; raise TryLater if not."""
        from pynetdicom import build_context
        from pynetdicom.sop_class import (  # type: ignore[attr-defined]
            RTStructureSetStorage,
            Verification,
        )

        with self._associated(build_context(RTStructureSetStorage), "structure sets"):
            pass
        with self._associated(build_context(Verification), "C-ECHO") as association:
            answer = association.send_c_echo()
        if "Status" not in answer or answer.Status != _SUCCESS:
            raise self._gone("does not answer a C-ECHO")

    @contextmanager
    def _associated(self, context: "PresentationContext", what: str) -> "Iterator[Association]":
        """Open an association for one thing; release it, or abort it where that fails."""
        from pynetdicom import AE, _config

        _config.STORE_SEND_CHUNKED_DATASET = True  # a file goes out as it lies
        ours = AE(ae_title=self.calling)
        ours.connection_timeout = ours.acse_timeout = self.connect_seconds
        ours.dimse_timeout = ours.network_timeout = self.answer_seconds
        node = self.node
        try:
            association = ours.associate(
                node.host, node.port, contexts=[context], ae_title=node.ae_title
            )
        except OSError as err:  # its name has no address
            raise self._gone(f"cannot be reached: {err.strerror}") from err
        if not association.is_established:
            if association.rejected_contexts:
                raise self._later(f"does not take {what}")
            raise self._gone(_why_rejected(association) or self._why_no_line())
        try:
            yield association
        except BaseException:
            association.abort()
            raise
        if association.is_established:
            association.release()

    def _why_no_line(self) -> str:
        """Return why there was no association: pynetdicom does not tell of a line that fails."""
        try:
            socket.create_connection((self.node.host, self.node.port), self.connect_seconds).close()
        except OSError as err:
            return f"cannot be reached: {err.strerror or 'no answer in time'}"
        return "takes the line, and does not answer as a DICOM node does"

    def _judged(self, status: int) -> str:
        """Return what to say of a status of C-STORE (PS3.4 table B.2-1) that means: stored."""
        if status == _SUCCESS:
            return ""
        if status in _CHANGED:
            return f"stored it with changes of its own (status {status:04X})"
        if status in _FULL:
            raise self._later(f"is out of resources (status {status:04X})")
        if status == _NOT_AUTHORISED:
            raise self._later(f"does not allow it (status {status:04X})")
        raise NeedsPerson(
            f"the DICOM node {self.node} refuses the structure set (status {status:04X})",
            code="node-refused",
            hint="Its log says why. Release the job to send it again; the file lies in its folder.",
        )

    def _gone(self, why: str) -> TryLater:
        self._away = why
        return self._later(why)

    def _later(self, why: str) -> TryLater:
        return TryLater(f"the DICOM node {self.node} {why}", code=NODE, hint=_HINT)


def opened(deliver: "Deliver") -> DicomNode:
    """Return the node of a site; raise ConfigError where what speaks DICOM is not installed."""
    try:
        import pynetdicom
    except ImportError as err:
        raise ConfigError(
            "deliver.node needs a package that is not installed",
            code="dicom-net",
            hint="Run \"pip install 'drawcli[dicom-net]'\", or take deliver.node away.",
        ) from err
    logging.getLogger(pynetdicom.__name__).setLevel(logging.CRITICAL)  # it may quote what it sends
    return DicomNode(node_of(deliver.node), deliver.ae_title)


def _why_rejected(association: "Association") -> str:
    if association.is_rejected:
        answer = association.acceptor.primitive
        reason = getattr(answer, "reason_str", "") or "no reason given"
        return f"rejects the association: {reason.lower()}"
    return ""
