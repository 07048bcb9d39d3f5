"""Patterns of the files of the datastore that are read."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property


@dataclass(frozen=True)
class Globs:
    """Included and excluded files, by path below the datastore, with "/" as separator.

    A pattern with a "/" is matched against the whole path, any other against each name in it. An
    empty `include` includes all files.

    >>> globs = Globs(include=("*.dcm",), exclude=("research/*", "tmp"))
    >>> globs.takes("ward/1.dcm"), globs.takes("ward/notes.txt"), globs.takes("research/1.dcm")
    (True, False, False)
    >>> globs.enters("ward"), globs.enters("ward/tmp")
    (True, False)
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return whether there is any pattern."""
        return bool(self.include or self.exclude)

    def takes(self, path: str) -> bool:
        """Return whether a file is read."""
        is_included = not self.include or _matches(self._included, path)
        return is_included and not _matches(self._excluded, path)

    def enters(self, path: str) -> bool:
        """Return whether a folder is listed."""
        return not _matches(self._excluded, path)

    @cached_property
    def _included(self) -> "_Patterns":
        return _compile(self.include)

    @cached_property
    def _excluded(self) -> "_Patterns":
        return _compile(self.exclude)


_Patterns = tuple[re.Pattern[str] | None, re.Pattern[str] | None]  # of paths, of names


def _compile(patterns: Sequence[str]) -> _Patterns:
    paths = [translate(glob.removesuffix("/")) for glob in patterns if "/" in glob[:-1]]
    names = [translate(glob.removesuffix("/")) for glob in patterns if "/" not in glob[:-1]]
    return _either(paths), _either(names)


def _either(patterns: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(patterns)) if patterns else None


def _matches(patterns: _Patterns, path: str) -> bool:
    of_path, of_name = patterns
    if of_path is not None and of_path.match(path):
        return True
    return of_name is not None and any(of_name.match(name) for name in path.split("/"))
