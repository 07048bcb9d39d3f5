"""Changes of rules.yaml and templates.yaml that are looked at before they are saved.

A draft is the file as it was read, and the file as it would be. Nothing is written until `save`,
which compares the file on disk with the one that was read.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Final

from drawcli.adapters.edited_files.git_commit import Commit
from drawcli.adapters.edited_files.saving import ChangedMeanwhile, Saved, digest_of, save_file
from drawcli.authoring.hidden_values import shown_source
from drawcli.errors import ConfigError, UsageError
from drawcli.system.printable import plain
from drawcli.system.yaml_read import Document, parse_yaml, read_yaml

Edit = Callable[[Document], Document]
_CONTEXT_LINES: Final = 3
_MOST_COMPARED: Final = 300_000  # pairs of equal lines


@dataclass(frozen=True, slots=True)
class FileDraft:
    """A file before and after a change."""

    before: Document
    after: Document

    @property
    def base(self) -> str:
        """The digest of the file that was read."""
        return digest_of(self.before.source)

    @property
    def digest(self) -> str:
        """The digest of the file as it would be."""
        return digest_of(self.after.source)

    @property
    def is_change(self) -> bool:
        """Whether anything differs."""
        return self.before.source != self.after.source

    def diff(self, *, in_full: bool) -> list[str]:
        """Return the unified diff, as lines without line ends.

        Parameters
        ----------
        in_full
            With the values that may identify a patient.
        """
        return diff_of(*(text_shown(one, in_full=in_full) for one in (self.before, self.after)))

    def save(self, what: Commit, state_dir: Path, *, shown: str) -> Saved:
        """Save the file if it is what a user has seen; see `save_file`.

        Parameters
        ----------
        what, state_dir
            See `save_file`.
        shown
            The digest of the file as the user has seen it in the diff.
        """
        if shown != self.digest:
            raise UsageError("this is not the change that was shown", hint="Show the change again.")
        return save_file(
            self.before.path,
            expected=self.base,
            source=self.after.source,
            what=what,
            state_dir=state_dir,
        )


def draft_of(path: Path, edit: Edit, *, base: str) -> FileDraft:
    """Return the draft of an edit of a file.

    Parameters
    ----------
    path
        A file of the settings.
    edit
        Returns the changed document; its errors are passed on.
    base
        The digest of the file that the user has seen; "" accepts any.

    Raises
    ------
    ChangedMeanwhile
        Where the file is another one.
    ConfigError
        Where it cannot be read, or is not YAML.
    """
    try:
        before = read_yaml(path)
    except ConfigError:
        if base and path.is_file() and digest_of(path.read_bytes()) != base:
            raise ChangedMeanwhile(f"{path} has changed since it was read") from None
        raise
    if base not in ("", digest_of(before.source)):
        raise ChangedMeanwhile(f"{path} has changed since it was read")
    return FileDraft(before, edit(before))


def draft_on(path: Path, source: bytes, edit: Edit) -> FileDraft:
    """Return the draft of an edit of an earlier text of a file, to show what was changed."""
    before = parse_yaml(path, source)
    return FileDraft(before, edit(before))


def text_shown(document: Document, *, in_full: bool) -> bytes:
    """Return the bytes of a file as a user may see them."""
    return document.source if in_full else shown_source(document)


def diff_of(before: bytes, after: bytes) -> list[str]:
    """Return a unified diff as lines without line ends, and without the names of the files.

    Lines that repeat often would take the square of their number: then all lines between the first
    and the last change are shown as replaced.
    """
    old, new = (_lines(source) for source in (before, after))
    first = max(_equal_lines(old, new) - _CONTEXT_LINES, 0)
    old, new = old[first:], new[first:]
    last = _equal_lines(old[::-1], new[::-1]) - _CONTEXT_LINES
    old, new = (lines[: len(lines) - max(last, 0)] for lines in (old, new))
    times = Counter(new)
    if sum(times[line] for line in old) > _MOST_COMPARED:
        head = f"@@ -1,{len(old)} +1,{len(new)} @@"
        diff = [head, *(f"-{line}" for line in old), *(f"+{line}" for line in new)]
    else:
        diff = list(unified_diff(old, new, n=_CONTEXT_LINES, lineterm=""))[2:]
    return [_moved(line, first) if line.startswith("@@ ") else line for line in diff]


def _equal_lines(old: list[str], new: list[str]) -> int:
    """Return with how many equal lines two texts begin."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(old), len(new)))


def _moved(head: str, lines: int) -> str:
    """Return the head of a part of a diff that is so many lines further down."""
    return re.sub(r"(?<=[-+])\d+", lambda found: str(int(found[0]) + lines), head)


def _lines(source: bytes) -> list[str]:
    text = source.decode("utf-8-sig", "replace").replace("\r\n", "\n")
    return [plain(line) for line in text.removesuffix("\n").split("\n")]
