"""The sites of the group for a page: read at most every half minute."""

from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from drawcli.dashboard.snapshot import SiteReader
from drawcli.operations.group.sites import GroupSiteState, group_sites

_KEPT: Final = timedelta(seconds=30)


class GroupReader:
    """Keeps the last reports of the sites; one thread at a time reads them."""

    def __init__(self, site: SiteReader) -> None:
        self._site = site
        self._lock = Lock()
        self._read: tuple[datetime, list[GroupSiteState]] | None = None

    @property
    def is_on(self) -> bool:
        """Whether the settings name other sites."""
        return self._site.ctx.settings.group.is_on

    def sites(self) -> list[GroupSiteState]:
        """Return the sites, those that need attention first."""
        with self._lock:
            now = self._site.now
            if self._read is None or not timedelta() <= now - self._read[0] < _KEPT:
                self._read = (now, group_sites(self._site.ctx.settings.group, now))
            return self._read[1]
