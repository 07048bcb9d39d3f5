"""Sends structure sets by STOW-RS (PS3.18 10.5) to a DICOMweb archive.

The bytes of the delivered file are the only part of the request. The structure set is delivered
only when the response names this SOP instance as stored. Every exchange has a deadline and a limit
of bytes; redirects are never followed, and credentials are in no message.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from drawcli.adapters.delivery.judgement import TargetJudge, header_of
from drawcli.adapters.delivery.sendings import Sendings, record_of
from drawcli.adapters.delivery.target import Delivery, Remark, keep_nothing
from drawcli.adapters.dicom_web.web_client import (
    Answer,
    WebFailure,
    WebRequest,
    WebTarget,
    exchange,
    open_target_client,
)
from drawcli.core.delivery.store_response import UnreadableResponse, store_status
from drawcli.core.dicom import tags
from drawcli.core.dicom.header import Header
from drawcli.system.limits import EXCHANGES, NODE_BYTES_PER_SECOND
from drawcli.system.pacing import Deadline

if TYPE_CHECKING:
    from drawcli.config.sections_targets import Target

_PIECE: Final = 65_536  # bytes sent at once
_STORED: Final = frozenset({HTTPStatus.OK, HTTPStatus.ACCEPTED})
_ABOUT_INSTANCE: Final = _STORED | {HTTPStatus.CONFLICT}  # the response says what became of it
_REFUSED: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})
_CREDENTIALS: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_NO_SUCH: Final = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
)
_BUSY: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_CREDENTIALS_HINT: Final = "Check token_file or token_command of the target."
_ADDRESS_HINT: Final = "Check the address in deliver.targets: it should end before '/studies'."


class _Parts(NamedTuple):
    """A request for one instance."""

    head: bytes
    data: bytes
    tail: bytes
    boundary: str

    @classmethod
    def of(cls, data: bytes) -> "_Parts":
        """Return the multipart body of a file (PS3.18 10.5.1, RFC 2387)."""
        boundary = secrets.token_hex(24)
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")
        return cls(head, data, f"\r\n--{boundary}--\r\n".encode("ascii"), boundary)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the request."""
        return request_headers(self.boundary, len(self.head) + len(self.data) + len(self.tail))

    def pieces(self, before_last: Callable[[], None]) -> Iterator[bytes]:
        """Yield the body; the archive cannot have the file before `before_last` was called."""
        yield self.head
        data = memoryview(self.data)
        last = max(0, (len(data) - 1) // _PIECE * _PIECE)
        for start in range(0, last, _PIECE):
            yield bytes(data[start : start + _PIECE])
        before_last()
        yield bytes(data[last:])
        yield self.tail


def request_headers(boundary: str, length: int) -> dict[str, str]:
    """Return the headers of a request with a body of so many bytes."""
    return {
        "content-type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "content-length": str(length),
        "accept": "application/dicom+json, application/dicom+xml;q=0.5",
    }


@dataclass(slots=True)
class StowTarget:
    """A DICOMweb archive; once unreachable, it is not tried again in a run."""

    url: str  # the base address, without "/studies"
    web: WebTarget
    record: str
    judge: TargetJudge = field(init=False)

    def __post_init__(self) -> None:
        """Make the judge of its answers."""
        self.judge = TargetJudge(self.describe())

    def describe(self) -> str:
        """Return the name of the archive for messages."""
        return f"the DICOMweb archive {self.url}"

    def check(self) -> Remark | None:
        """Test whether the archive answers and accepts our credentials; raise TryLater if not."""
        try:
            answer = self.ask()
        except WebFailure as err:
            raise self.judge.away(str(err), err.hint) from None
        return self.judge_check(answer)

    def judge_check(self, answer: Answer) -> Remark | None:
        """Return a remark on the answer of `ask`, or None; raise TryLater if it stores nothing."""
        refuses = answer.status in _CREDENTIALS | _NO_SUCH
        if refuses or answer.is_redirect or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise self._not_now(answer)
        if not answer.accepts_post:
            text = "answers; whether it stores structure sets is known with the first"
            return Remark(text, "Nothing, if its documentation names STOW-RS.")
        return None

    def ask(self) -> Answer:
        """Send requests that store nothing; raise WebFailure without an answer.

        A server that knows no OPTIONS is sent a STOW-RS request without an instance.
        """
        deadline, url = Deadline(EXCHANGES["stow-check"].seconds), f"{self.url}/studies"
        with open_target_client(self.web) as client:
            answer = exchange(client, WebRequest("OPTIONS", url), deadline)
            if answer.status not in _NO_SUCH:
                return answer
            boundary = secrets.token_hex(24)
            body = f"--{boundary}--\r\n".encode("ascii")
            headers = request_headers(boundary, len(body))
            empty = WebRequest("POST", url, headers, lambda: iter([body]))
            return exchange(client, empty, deadline)

    def send(self, delivery: Delivery) -> str:
        """Send a structure set; return a report, or the warning of the archive."""
        if said := self.store(delivery.data, delivery.work_folder / self.record, delivery.kept):
            return f"warning: {self.describe()} {said}"
        return f"sent to {self.describe()}"

    def store(self, data: bytes, record: Path, kept: Callable[[], None] = keep_nothing) -> str:
        """Send a file; return the warning of the archive, or "".

        Raises
        ------
        TryLater
            If the archive is unreachable, cannot store it now, or gives no valid answer.
        NeedsPerson
            If it refuses this file, or has another with the same SOP Instance UID.
        """
        self.judge.check_reachable()
        header = header_of(data)
        sha256, sendings = hashlib.sha256(data).hexdigest(), Sendings(record, self.url, kept)
        had_before = sendings.are_only(sha256)
        try:
            answer = self._posted(data, lambda: sendings.add(sha256))
            status = self._status(answer, header)
        except WebFailure as err:
            if err.never_connected:
                raise self.judge.away(str(err), err.hint) from None
            may_have = sendings.include(sha256)
            raise self.judge.unanswered(str(err), err.hint, may_have=may_have) from None
        return self.judge.settled(status, sendings, sha256, had_before=had_before)

    def _posted(self, data: bytes, before_last: Callable[[], None]) -> Answer:
        deadline = Deadline(EXCHANGES["stow"].seconds + len(data) / NODE_BYTES_PER_SECOND)
        parts = _Parts.of(data)

        def in_time() -> None:
            deadline.check()  # a call that was given up must not write into the record
            before_last()

        content = partial(parts.pieces, in_time)
        request = WebRequest("POST", f"{self.url}/studies", parts.headers, content)
        with open_target_client(self.web) as client:
            return exchange(client, request, deadline)

    def _status(self, answer: Answer, header: Header) -> int:
        """Return the status of the instance; raise an error for other answers."""
        if answer.status not in _ABOUT_INSTANCE:
            raise self._not_now(answer)
        uids = header.text(tags.SOPClassUID), header.text(tags.SOPInstanceUID)
        try:
            status = store_status(answer.body, answer.media_type, *uids)
        except UnreadableResponse as err:
            raise WebFailure(f"{err} (status {answer.status})") from None
        if status is None:
            raise WebFailure(f"does not say what became of it (status {answer.status})")
        if not status and answer.status not in _STORED:
            raise WebFailure(f"contradicts itself: stored, and status {answer.status}")
        return status

    def _not_now(self, answer: Answer) -> Exception:
        """Return the error for a status that says nothing about the instance."""
        status = f"(status {answer.status})"
        if answer.status in _CREDENTIALS:
            self.web.credentials.forget()
            return self.judge.away(f"refuses our credentials {status}", _CREDENTIALS_HINT)
        if answer.status in _NO_SUCH:
            return self.judge.away(f"has no STOW-RS at this address {status}", _ADDRESS_HINT)
        if answer.status in _REFUSED:
            return self.judge.refused(f"refuses the structure set {status}")
        if answer.status in _BUSY or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return self.judge.away(f"cannot store it now {status}")
        if answer.is_redirect:
            hint = "Set the address that it names; drawcli follows no redirect."
            return self.judge.away(f"answers with a redirect {status}", hint)
        return self.judge.later(f"does not answer as STOW-RS should {status}", _ADDRESS_HINT)


def opened_stow(target: "Target") -> StowTarget:
    """Return a DICOMweb archive of `deliver.targets`.

    Raises
    ------
    ConfigError
        If the files of `tls` or the credentials cannot be used.
    """
    return StowTarget(target.stow, WebTarget.of(target, target.stow), record_of(target.stow))
