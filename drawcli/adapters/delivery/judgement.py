"""What the answer of a DICOM target means for a structure set, and whether it is tried again.

A C-STORE answers with a status, a STOW-RS request with a reason of the same codes (PS3.4 table
B.2-1, PS3.18 table I.2-2).
"""

from dataclasses import dataclass, field
from typing import Final

from drawcli.adapters.delivery.sendings import Sendings
from drawcli.core.dicom import tags
from drawcli.core.dicom.dimse import is_success
from drawcli.core.dicom.header import Header, Incomplete, NotDicom, read_header
from drawcli.errors import NODE, BadStructureSet, NeedsPerson, TryLater
from drawcli.system.limits import SILENT_IN_A_ROW, SILENT_IN_ALL

NO_COMMITMENT: Final = (
    "does not offer storage commitment",
    "Switch it on at the node, or remove 'commitment: true'.",
)
SUCCESS: Final = 0x0000
DUPLICATE: Final = 0x0111
_CHANGED: Final = frozenset({0xB000, 0xB006, 0xB007})  # stored, with elements changed or left out
_FULL: Final = range(0xA700, 0xA800)
_NOT_AUTHORISED: Final = 0x0124
_PENDING: Final = frozenset({0xFF00, 0xFF01})
_HINT: Final = "Run 'drawcli doctor' to test the node. The checked file is kept with the job."


@dataclass(slots=True)
class TargetJudge:
    """The errors of a target, and whether it is still tried in this run.

    A target that is not reachable, or that leaves several structure sets without an answer, is not
    tried again in the run; one that it refuses does not stop the next one from being sent.
    """

    who: str  # "the DICOM node TPS@host:104"
    has_folder: bool = False  # the file is also in the folder of the site
    _away: tuple[str, str] | None = field(default=None, init=False)  # why, and a hint
    _silent: int = field(default=0, init=False)  # number of files in a row without an answer
    _silences: int = field(default=0, init=False)  # number of files without an answer

    def check_reachable(self) -> None:
        """Raise TryLater if the target was found to be unreachable in this run."""
        if self._away is not None:
            raise self.later(*self._away)

    def away(self, why: str, hint: str = "") -> TryLater:
        """Return the error for a target that is not reachable; it is not tried again."""
        self._away = why, hint
        return self.later(why, hint)

    def unanswered(self, why: str, hint: str = "", *, may_have: bool) -> TryLater:
        """Return the error for a missing answer; after several it counts as unreachable."""
        self._silent, self._silences = self._silent + 1, self._silences + 1
        if self._silent >= SILENT_IN_A_ROW or self._silences >= SILENT_IN_ALL:
            self._away = why, hint
        unsure = "; it may have the structure set, which is sent again" if may_have else ""
        return self.later(f"{why}{unsure}", hint)

    def answered(self) -> None:
        """Note that a structure set was answered."""
        self._silent = 0

    def later(self, why: str, hint: str = "") -> TryLater:
        """Return the error for a target that cannot store it now."""
        return TryLater(f"{self.who} {why}", code=NODE, hint=hint or _HINT)

    def judged(self, status: int) -> str:
        """Return the warning of a status or reason, or ""; raise an error if it is not stored."""
        if status == SUCCESS:
            return ""
        if status in _CHANGED:
            return f"stored it with changes of its own (status {status:04X})"
        if status == DUPLICATE:
            return f"has it from an earlier try (status {status:04X})"
        if is_success(status):  # of the class "warning": it is stored (PS3.7 annex C)
            return f"stored it with an unknown warning (status {status:04X})"
        if status in _FULL:
            raise self.later(f"is out of resources (status {status:04X})")
        if status == _NOT_AUTHORISED:
            raise self.later(f"is not authorised to store it (status {status:04X})")
        what = "does not confirm that it has stored" if status in _PENDING else "refuses"
        raise self.refused(f"{what} the structure set (status {status:04X})")

    def settled(self, status: int, sendings: Sendings, sha256: str, *, had_before: bool) -> str:
        """Return the warning of an answered sending, or "", and record the sending as settled.

        Parameters
        ----------
        status
            The status or reason of the answer.
        sendings, sha256
            The record of the files that the target may have, and the file that was sent.
        had_before
            Whether this file, and no other of the job, was sent to the target earlier.

        Raises
        ------
        TryLater, NeedsPerson
            As `judged`; and if the target may have another file of this UID.
        """
        self.answered()
        if status == DUPLICATE and not had_before:
            sendings.settle(sha256)  # the hint asks the user to compare before a release
            raise self.has_another()
        said = self.judged(status)
        sendings.settle(sha256)
        return said

    def refused(self, why: str) -> NeedsPerson:
        """Return the error for a structure set that the target refuses."""
        kept = "in its folder" if self.has_folder else "kept with the job"
        return NeedsPerson(
            f"{self.who} {why}",
            code="node-refused",
            hint=f"See its log. Release the job to send it again; the file is {kept}.",
        )

    def has_another(self) -> NeedsPerson:
        """Return the error for a target that may have another file of this UID."""
        return NeedsPerson(
            f"{self.who} already has a structure set with this SOP Instance UID "
            f"(status {DUPLICATE:04X}), and drawcli has no record that it is this file",
            code="node-duplicate",
            hint="Compare the two in the planning system. If they are the same, or after you have "
            "removed the other, release the job.",
        )


def header_of(data: bytes) -> Header:
    """Return the header of a structure set; raise BadStructureSet if it has no SOP UIDs."""
    try:
        header = read_header(data, complete=True)
    except (NotDicom, Incomplete):
        raise BadStructureSet("the delivered file cannot be read", code="not-dicom") from None
    if not (header.text(tags.SOPClassUID) and header.text(tags.SOPInstanceUID)):
        raise BadStructureSet("the delivered file has no SOP UIDs", code="not-dicom")
    return header
