"""What a visitor of the page may do: the options of the page allow it, and the role of the user."""

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection, Request

    from drawcli.dashboard.access.options import DashboardOptions


class Right(StrEnum):
    """A right, by the option of `drawcli dashboard` that switches it on."""

    PATIENTS = "identify"  # see patients, UIDs and paths
    ACT = "allow-actions"  # act on jobs, rate contours, run and pause
    EDIT = "allow-editing"  # change rules and templates


_REFUSED_BY_ROLE: Final = {
    Right.PATIENTS: "Your role does not include patients.",
    Right.ACT: "Your role does not include actions.",
    Right.EDIT: "Your role does not include rules and templates.",
}
_REFUSED: Final = {
    Right.PATIENTS: "Patients are not shown. Start the page with --identify or dashboard.identify.",
    Right.ACT: "The page is read-only. Start it with --allow-actions to act.",
    Right.EDIT: "Rules and templates are read-only. Start the page with --allow-editing.",
}


class Visitor(NamedTuple):
    """The user of a session."""

    name: str  # "": whoever knows the password of the page, or a user of this machine
    rights: frozenset[Right]

    def may(self, right: Right) -> bool:
        """Return whether the visitor has a right."""
        return right in self.rights


NOBODY: Final = Visitor("", frozenset())


def visitor_of(request: "HTTPConnection") -> Visitor:
    """Return the user of a request; without a login where one is needed, one without rights."""
    found: Visitor | None = request.app.state.parts.entry.visitor(request)
    return found or NOBODY


def require(request: "Request", right: Right) -> Visitor:
    """Return the user of a request; 403 without a right."""
    visitor = visitor_of(request)
    if not visitor.may(right):
        options: DashboardOptions = request.app.state.parts.options
        raise HTTPException(403, (_REFUSED_BY_ROLE if right in options.rights else _REFUSED)[right])
    return visitor
