"""The two files that can be edited in the browser, and the texts of them that users have seen."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import date
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

from drawcli.adapters.edited_files.saving import digest_of
from drawcli.authoring.file_checks import CheckedFile, check_rules_file, check_templates_file
from drawcli.system.yaml_read import Document

if TYPE_CHECKING:
    from drawcli.config.load import Settings

_MOST_BYTES: Final = 16 << 20


class EditedFile(NamedTuple):
    """A file of the site that has pages to edit it."""

    name: str  # as users know it
    page: str  # the address of its list
    setting: str  # that names its path: nothing else is ever written
    check: Callable[[Document, Document, "Settings", date], CheckedFile]

    def path(self, settings: "Settings") -> Path:
        """Return the path of the file."""
        path: Path = getattr(settings, self.setting)
        return path


RULES: Final = EditedFile("rules.yaml", "/rules", "rules", check_rules_file)
TEMPLATES: Final = EditedFile("templates.yaml", "/templates", "templates", check_templates_file)


class SeenTexts:
    """The texts of files that forms were made from, by digest, to tell what changed since.

    They are kept in memory, the oldest are dropped: after a restart a conflict is still found, by
    its digest, but the change of the other user cannot be shown.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._texts: OrderedDict[str, bytes] = OrderedDict()
        self._lock, self._most = Lock(), most_bytes

    def remember(self, source: bytes) -> str:
        """Keep a text; return its digest."""
        digest = digest_of(source)
        with self._lock:
            self._texts[digest] = source
            self._texts.move_to_end(digest)
            while sum(map(len, self._texts.values())) > self._most and len(self._texts) > 1:
                self._texts.popitem(last=False)
        return digest

    def get(self, digest: str) -> bytes | None:
        """Return a text; None if it is not known any more."""
        with self._lock:
            return self._texts.get(digest)
