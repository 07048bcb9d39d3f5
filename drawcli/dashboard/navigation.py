"""The pages in the navigation: the main ones in a row, those of the site under one heading."""

from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from drawcli.dashboard.access.rights import Right, Visitor


class PageLink(NamedTuple):
    """A page in the navigation."""

    to: str
    name: str
    right: Right | None = None  # without it the page is not listed

    def has(self, path: str) -> bool:
        """Return whether an address belongs to the page."""
        shown = path.removeprefix("/edit")  # the editor of what a page shows belongs to it
        return shown == self.to or (self.to != "/" and shown.startswith(f"{self.to}/"))


PAGES: Final = (
    PageLink("/", "Overview"),
    PageLink("/jobs", "Jobs"),
    PageLink("/patients", "Patients", Right.PATIENTS),
    PageLink("/unmatched", "Unmatched"),
    PageLink("/rules", "Rules"),
    PageLink("/templates", "Templates"),
    PageLink("/qa", "QA"),
    PageLink("/statistics", "Statistics"),
)
SITE_PAGES: Final = (
    PageLink("/server", "Server"),
    PageLink("/checkup", "Check-up"),
    PageLink("/settings", "Settings"),
    PageLink("/audit", "Audit"),
    PageLink("/notifications", "Notifications"),
    PageLink("/users", "Users"),
    PageLink("/cluster", "Machines"),
    PageLink("/group", "Group"),
)


class Navigation(NamedTuple):
    """The links of a page; `here` is the address of the listed page that it belongs to."""

    pages: tuple[PageLink, ...]
    site_pages: tuple[PageLink, ...]
    here: str

    @property
    def in_site(self) -> bool:
        """Whether the page is one of the site."""
        return any(one.to == self.here for one in self.site_pages)


def navigation_of(path: str, visitor: Visitor, hidden: Collection[str] = ()) -> Navigation:
    """Return the navigation of an address, for a visitor; without the pages that are `hidden`."""
    shown = [one for one in SITE_PAGES if one.to not in hidden]
    pages, site_pages = _listed(PAGES, visitor), _listed(shown, visitor)
    here = next((one.to for one in (*pages, *site_pages) if one.has(path)), "")
    return Navigation(pages, site_pages, here)


def _listed(links: Iterable[PageLink], visitor: Visitor) -> tuple[PageLink, ...]:
    return tuple(one for one in links if one.right is None or visitor.may(one.right))
