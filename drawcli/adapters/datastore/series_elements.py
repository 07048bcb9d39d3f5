"""The elements of a series as text: those that all files share, and those that differ."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, cached_property
from importlib.metadata import version
from typing import Any, Final, Self, TypeVar

from drawcli import __version__
from drawcli.adapters.datastore.compared_files import ComparedFile, by_head, read_files
from drawcli.adapters.datastore.element_texts import Texts, head_in
from drawcli.core.rules.conditions import RuleHeader
from drawcli.errors import SeriesRefused
from drawcli.system.failures import raise_shortage

MOST_DIFFERING: Final = 5_000_000  # values of one element: of each path, for each file
_Value = TypeVar("_Value")
_Mixed = dict[str, list[tuple[str, ...]]]  # path -> the texts of each file


class SeriesElements:
    """The elements of all files of a series; those that differ are decoded on first use.

    Parameters
    ----------
    first
        The elements of the first file, by head.
    differing
        The heads of elements that may differ between the files.
    compared
        Of such heads, the elements that all files share, and the others with the texts of each.
    read
        Reads the files but the first.
    """

    def __init__(
        self,
        first: Mapping[str, Texts],
        differing: Iterable[str],
        compared: dict[str, tuple[Texts, _Mixed]],
        read: Callable[[], list[ComparedFile]],
    ) -> None:
        self._first = first
        self._differing = frozenset(differing)
        self._compared = compared
        self._read = read
        self.learned = False  # whether `as_plain` has more than what it was made of

    @classmethod
    def of(cls, paths: Iterable[str]) -> Self:
        """Read the files of a series.

        Raises
        ------
        SourceUnsettled
            If a file cannot be read.
        SeriesRefused
            If its header cannot be parsed.
        """
        first, files = read_files(paths)
        made = cls(first, (head for file in files for head in file.heads), {}, lambda: files)
        made.learned = True
        return made

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], paths: Iterable[str]) -> Self:
        """Return the elements that `as_plain` wrote of the same files.

        Files are read only when an element that differs is needed for the first time.
        """
        compared = {
            head: (_as_texts(shared), {path: [*map(tuple, each)] for path, each in mixed.items()})
            for head, (shared, mixed) in plain["compared"].items()
        }
        first = by_head(_as_texts(plain["first"]))
        return cls(first, plain["differing"], compared, lambda: read_files(paths)[1])

    def as_plain(self) -> dict[str, Any]:
        """Return what is known of the elements as JSON values."""
        first = {path: texts for each in self._first.values() for path, texts in each.items()}
        return {"first": first, "differing": sorted(self._differing), "compared": self._compared}

    @property
    def header(self) -> RuleHeader:
        """The elements that all files share, as text by path; those that differ in `mixed`."""
        return RuleHeader(
            _ByPath(self._first, self._shared_of), _ByPath(self._differing, self._mixed_of)
        )

    def _shared_of(self, head: str) -> Texts:
        """Return the elements with a head that all files share."""
        return self._compare(head)[0] if head in self._differing else self._first.get(head, {})

    def _mixed_of(self, head: str) -> _Mixed:
        """Return those that differ, with the texts of each file."""
        return self._compare(head)[1] if head in self._differing else {}

    @cached_property
    def _files(self) -> list[ComparedFile]:
        return self._read()

    def _compare(self, head: str) -> tuple[Texts, _Mixed]:
        if head not in self._compared:
            first = self._first.get(head, {})
            each = [first, *(file.texts(head) for file in self._files)]
            shared = {
                path: values
                for path, values in first.items()
                if all(one.get(path) == values for one in each)
            }
            other = dict.fromkeys(path for one in each for path in one if path not in shared)
            if len(other) * len(each) > MOST_DIFFERING:
                raise SeriesRefused(
                    f"the slices differ in more than {MOST_DIFFERING:,} values of {head}",
                    hint="Look for a slice with thousands of items in this sequence, or leave it "
                    "out of the rules.",
                )
            mixed = {path: [one.get(path, ()) for one in each] for path in other}
            self._compared[head] = shared, mixed
            self.learned = True
        return self._compared[head]


class _ByPath(Mapping[str, _Value]):
    """Elements by path, found by the head of the path.

    Parameters
    ----------
    heads
        Every head.
    having
        Returns the elements with a head.
    """

    def __init__(self, heads: Iterable[str], having: Callable[[str], Mapping[str, _Value]]) -> None:
        self._heads = heads
        self._having = having

    def __getitem__(self, path: str) -> _Value:
        return self._having(head_in(path))[path]

    def __iter__(self) -> Iterator[str]:
        for head in self._heads:
            yield from self._having(head)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def stamp_of_files(paths: Iterable[str]) -> bytes | None:
    """Return a digest of the files of a series that changes if one changes; None if one is missing.

    It covers path, size, times and inode, and the programs that decode the elements.
    """
    digest = hashlib.blake2b(f"{__version__} {_pydicom_version()}".encode())
    try:
        for path in paths:
            at = os.stat(path)  # noqa: PTH116 - one call per file
            facts = (at.st_size, at.st_mtime_ns, at.st_ctime_ns, at.st_ino)
            digest.update(b"%b\0%d %d %d %d\n" % (os.fsencode(path), *facts))
    except (OSError, ValueError) as err:
        raise_shortage(err)
        return None
    return digest.digest()


@cache
def _pydicom_version() -> str:
    return version("pydicom")  # without importing it


def _as_texts(plain: Mapping[str, list[str]]) -> Texts:
    return {path: tuple(values) for path, values in plain.items()}
