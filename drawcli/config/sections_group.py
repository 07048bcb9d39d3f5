"""The settings section `group`: many sites on one page."""

from collections import Counter
from pathlib import Path
from typing import Any

from drawcli.config.sections_cluster import ledger_address, site_name
from drawcli.system.addresses import is_loopback, parse_web_address, split_command
from drawcli.system.kinds import PATH, TEXT, listed, maybe, number, section, text
from drawcli.system.records import Record, setting


def _page(url: str) -> str:
    """Check the address of another site's page."""
    parts = parse_web_address(url)
    if parts.username is not None or parts.query or parts.fragment or " " in url:
        raise ValueError("should be an address without a user, '?', '#' or blanks")
    if parts.scheme != "https" and not is_loopback(url):
        raise ValueError("should begin with https://: the token of the page goes there")
    return url.rstrip("/")


class GroupSite(Record):
    """Another site whose page is queried."""

    name: str = setting("", text(least=1, check=site_name))
    url: str = setting("", text(least=1, check=_page))  # of its page
    token_file: Path | None = setting(None, maybe(PATH))  # with the password of its page
    token_command: list[str] = setting([], listed(TEXT, split=split_command))
    ca_file: Path | None = setting(None, maybe(PATH))

    def check(self) -> None:
        """Refuse a site without a token, or with two sources of it."""
        if not self.name or not self.url:
            raise ValueError("a site needs a name and a url")
        if (self.token_file is not None) == bool(self.token_command):
            raise ValueError("a site needs token_file or token_command, and not both")

    def anchored(self, base: Path) -> "GroupSite":
        """Return the site with its relative paths made relative to `base`."""
        given = {"token_file": self.token_file, "ca_file": self.ca_file}
        return self.replace(**{name: base / path for name, path in given.items() if path})


def _different(sites: list[GroupSite]) -> list[GroupSite]:
    times = Counter(site.name for site in sites)
    if twice := [name for name, count in times.items() if count > 1]:
        raise ValueError(f"two sites have the name '{min(twice)}'")
    return sites


class GroupView(Record):
    """Where the group view finds its sites."""

    folder: Path | None = setting(None, maybe(PATH))  # with NAME.json of each site
    sites: list[GroupSite] = setting([], listed(section(GroupSite), check=_different))  # asked
    database: str = setting("", text(check=ledger_address))  # by a user with drawcli_group
    password_file: Path | None = setting(None, maybe(PATH))  # of that user
    silent_hours: float = setting(2.0, number(above=0, most=10_000))

    @property
    def is_on(self) -> bool:
        """Whether there is a group view."""
        return bool(self.folder or self.sites or self.database)

    def anchored(self, base: Path) -> "GroupView":
        """Return the section with its relative paths made relative to `base`."""
        given = {"folder": self.folder, "password_file": self.password_file}
        paths: dict[str, Any] = {name: base / path for name, path in given.items() if path}
        return self.replace(**paths, sites=[site.anchored(base) for site in self.sites])
