"""The files in the answer to a WADO-RS request: each goes to where it was asked for."""

from collections.abc import Callable

from drawcli.core.dicom_service.association_answer import Supported
from drawcli.core.dicom_service.object_store import ArrivingObject, Take
from drawcli.core.dicom_service.received_object import ObjectFacts
from drawcli.core.pull.answers import BadAnswer
from drawcli.core.pull.multipart import PartReader, file_meta

_AE_TITLE = "DICOMWEB"  # Source Application Entity Title of what came by DICOMweb


class PartsTaker:
    """Takes a multipart body apart; a part that is not wanted is read to its end.

    Parameters
    ----------
    boundary
        Of the body.
    supported
        What is received: files of other classes and transfer syntaxes are left out.
    largest
        Bytes of a file.
    take
        Called for each file.
    tick
        Called before each; may raise TryLater.
    """

    def __init__(
        self,
        boundary: bytes,
        supported: Supported,
        largest: int,
        take: Take,
        tick: Callable[[], None],
    ) -> None:
        self._reader = PartReader(boundary)
        self._supported = supported
        self._largest = largest
        self._take = take
        self._tick = tick
        self._head: bytearray | None = None  # of the present file, until its meta is whole
        self._object: ArrivingObject | None = None
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Take a piece of the body; raise BadAnswer, NotStored, or what `take` raises."""
        for piece in self._reader.feed(data):
            if piece is None:
                self._tick()
                self._head, self._size = bytearray(), 0
            elif piece:
                self._write(piece)
            else:
                self._end()

    def finish(self) -> None:
        """Raise BadAnswer if the body has ended early."""
        if not self._reader.is_ended:
            raise BadAnswer("ends its answer early")

    def discard(self) -> None:
        """Forget a file that is not complete."""
        arriving, self._object = self._object, None
        if arriving is not None:
            arriving.discard()

    def _write(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._largest:
            raise BadAnswer(f"sends a file of more than {self._largest:,} bytes")
        if self._head is not None:
            self._head += piece
            self._begin(self._head)
        elif self._object is not None:
            self._object.write(piece)

    def _begin(self, head: bytearray) -> None:
        """Begin the file once its meta is whole."""
        meta = file_meta(bytes(head))
        if meta is None:
            return
        if not (meta.sop_class and meta.sop_instance):
            raise BadAnswer("sends a file without valid UIDs")
        self._head = None
        known = meta.transfer_syntax in self._supported.transfer_syntaxes
        if known and meta.sop_class in self._supported.storage_classes:
            facts = ObjectFacts(meta.sop_class, meta.sop_instance, meta.transfer_syntax, _AE_TITLE)
            taken = self._take(facts)
            if not isinstance(taken, tuple):  # a StoreOutcome
                self._object = taken
                taken.write(bytes(head[meta.length :]))

    def _end(self) -> None:
        if self._head is not None:
            raise BadAnswer("sends a part that is no DICOM file")
        arriving, self._object = self._object, None
        if arriving is not None:
            try:
                arriving.end()
            finally:
                arriving.discard()
