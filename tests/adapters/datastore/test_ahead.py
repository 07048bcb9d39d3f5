"""Folders that other processes list ahead of a walk: the walk finds what it finds alone."""

import os
import random
import signal
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pytest

from drawcli.adapters.datastore import ahead as module
from drawcli.adapters.datastore import processes
from drawcli.adapters.datastore.ahead import FolderListing, ListedAhead, list_folders
from drawcli.adapters.datastore.listing import Folder, Stamp
from drawcli.adapters.datastore.processes import ScanWorker
from drawcli.adapters.datastore.walk import walk_folders

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="makes links and sends signals")
NAMES = ("a", "a.b", "a b", "a-", "A", "é", "z", "\udcff", ".hidden", "closed", ".drawcli-new")
Visited = tuple[str, Stamp, bytes, bool, str]


class Eager(ListedAhead):
    """Everything is listed before the walk goes on."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.asked: list[str] = []

    def take(self, path: str, stamp: Stamp) -> tuple[Folder, list[str]] | None:
        """Wait for all listings first."""
        self._look()
        while self._asked:
            assert wait([*self._asked], 60)
            self._look()
        return super().take(path, stamp)

    def _look(self) -> None:
        before = list(map(id, self._asked.values()))
        super()._look()
        new = (places for places in self._asked.values() if id(places) not in before)
        self.asked += [place.replace("\0", os.sep) for places in new for place in places]


def grown(folder: Path, dice: random.Random, depth: int = 0) -> None:
    """Fill a folder with files, folders, links of every kind, and what is no file."""
    for name in dice.sample(NAMES, dice.randint(3, 6) if depth < 4 else 0):
        (folder / name).mkdir()
        grown(folder / name, dice, depth + 1)
    for number in range(dice.randint(0, 4)):
        (folder / f"{number}.dcm").write_bytes(bytes(dice.randint(0, 9)))
    kind, link = dice.randint(0, 6), folder / "link"
    if kind == 0:
        link.symlink_to(folder / "nowhere.dcm")
    elif kind == 1:
        link.symlink_to("link")
    elif kind == 2:
        link.symlink_to(folder.parent)
    elif kind == 3:
        link.symlink_to(folder.parent / dice.choice(NAMES))
    elif kind == 4:
        os.mkfifo(folder / "pipe")


@pytest.fixture
def tree(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Return a folder tree, and beside it one that is reached by links only."""
    seed = getattr(request, "param", 1)
    for name in ("tree", "beside"):
        (tmp_path / name).mkdir()
        grown(tmp_path / name, random.Random(f"{seed} {name}"))  # noqa: S311 - a tree
    (tmp_path / "tree" / "m").mkdir()
    (tmp_path / "tree" / "m" / "out").symlink_to(tmp_path / "beside")
    (tmp_path / "tree" / "m" / "up").symlink_to(tmp_path)
    return tmp_path / "tree"


def visited(root: Path, ahead: ListedAhead | None = None) -> list[Visited]:
    """Return what a walk yields."""
    folders = walk_folders(root, enter=lambda path: not path.endswith("closed"), ahead=ahead)
    return [
        (one.path, one.stamp, b"" if one.trouble else one.digest, one.has_folders, one.trouble)
        for one in folders
    ]


@pytest.mark.parametrize("tree", range(4), indirect=True)
@pytest.mark.parametrize("kind", [Eager, ListedAhead])
def test_a_walk_is_the_same_whoever_lists(tree: Path, kind: type[ListedAhead]) -> None:
    alone = visited(tree)

    with kind(2) as ahead:
        helped = visited(tree, ahead)

    assert helped == alone
    assert {one[-1] for one in alone} == {"", "link-above"}


def test_the_other_processes_list_nearly_all_folders_each_once(tree: Path) -> None:
    with Eager(3) as ahead:
        folders = list(walk_folders(tree, ahead=ahead))

    told = [folder for folder in folders if folder.told]
    assert len(told) > len(folders) / 2 > 50
    assert all(folder.rows is None for folder in told)
    assert len(set(ahead.asked)) == len(ahead.asked)


def test_they_enter_no_folder_that_the_walk_leaves_out(tree: Path) -> None:
    with Eager(2) as ahead:
        visited(tree, ahead)

    asked = [Path(path).relative_to(tree).parts for path in ahead.asked]
    assert len(asked) > 50
    assert not any("closed" in parts or ".drawcli-new" in parts for parts in asked)


def test_they_go_no_further_than_a_folder_above_the_root(tree: Path) -> None:
    """As where it is mounted again, which root alone can do."""
    (tree / "zz" / "deep").mkdir(parents=True)
    inode = (tree / "zz").stat().st_ino
    with Eager(1) as ahead:
        ahead.begin(lambda _path: True, lambda stamp: "link-above" if stamp[1] == inode else "")
        ahead.expect([str(tree / "a"), str(tree / "zz")])
        ahead.take(str(tree), (0, 0, 0, 0))

    assert ahead.asked == [str(tree / "zz")]


def test_a_link_and_what_is_no_folder_are_left_to_the_walk(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    (tmp_path / "file").touch()
    names = ("folder", "link", "file", "nothing")

    found = list_folders([str(tmp_path / name) for name in names])

    assert [isinstance(one, FolderListing) for one in found] == [True, False, False, False]


def test_a_folder_that_changed_after_it_was_listed_is_listed_again(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()

    with Eager(1) as ahead:
        walk = walk_folders(tmp_path, ahead=ahead)
        folders = [next(walk), next(walk)]
        (tmp_path / "c" / "new" / "deep").mkdir(parents=True)
        folders += walk

    assert [Path(one.path).name for one in folders[1:]] == ["a", "b", "c", "new", "deep"]
    assert ahead.asked[:2] == [str(tmp_path / "c"), str(tmp_path / "b")]
    assert [bool(one.told) for one in folders[1:4]] == [False, True, False]


def test_the_listings_of_one_walk_are_not_those_of_the_next(tree: Path, tmp_path: Path) -> None:
    with ListedAhead(2) as ahead:
        first = walk_folders(tree, ahead=ahead)
        [next(first) for _ in range(9)]
        beside = visited(tmp_path / "beside", ahead)
        again = visited(tree, ahead)

    assert beside == visited(tmp_path / "beside")
    assert again == visited(tree)


def test_answers_that_come_too_late_are_dropped(tree: Path) -> None:
    folders = [str(tree / name) for name in ("b", "c", "d", "e")]
    for folder in folders:
        Path(folder).mkdir(exist_ok=True)

    with ListedAhead(2) as ahead:
        for passed in (False, True):
            ahead.begin(lambda _path: True, lambda _stamp: "")
            ahead.expect(folders)
            ahead._look()
            asked = list(ahead._asked)
            if passed:
                ahead._here = "\U0010ffff"
            else:
                ahead.begin(lambda _path: True, lambda _stamp: "")
            for pipe in asked:
                ahead._receive(pipe)

            assert len(asked) == 2
            assert ahead._listed == {}


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGKILL, Eager), (signal.SIGSTOP, ListedAhead)]
)
@pytest.mark.parametrize("after", [0, 30])
def test_a_process_that_dies_or_hangs_changes_nothing(
    tree: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    kind: type[ListedAhead],
    after: int,
) -> None:
    started: list[ScanWorker] = []

    def starting(answer: Callable[[Any], object], count: int) -> Sequence[ScanWorker]:
        started.extend(processes.start_workers(answer, count))
        return started

    monkeypatch.setattr(module, "start_workers", starting)
    with kind(2) as ahead:
        walk = walk_folders(tree, ahead=ahead)
        paths = [next(walk).path for _ in range(after)]
        for worker in started:
            os.kill(worker.process.pid or 0, number)
        paths += [folder.path for folder in walk]

    assert paths == [folder.path for folder in walk_folders(tree)]
    assert [worker.process.is_alive() for worker in started] == [False, False]


def test_where_no_process_can_be_started_the_walk_lists_all(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_answer: Callable[[Any], object]) -> ScanWorker:
        raise BlockingIOError

    monkeypatch.setattr(processes, "_started", full)

    with ListedAhead(2) as ahead:
        assert visited(tree, ahead) == visited(tree)


def test_an_interrupted_walk_leaves_no_process(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[ScanWorker] = []

    def starting(answer: Callable[[Any], object], count: int) -> Sequence[ScanWorker]:
        started.extend(processes.start_workers(answer, count))
        return started

    monkeypatch.setattr(module, "start_workers", starting)

    def interrupted() -> None:
        with ListedAhead(2) as ahead:
            next(walk_folders(tree, ahead=ahead))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert [worker.process.is_alive() for worker in started] == [False, False]


def test_listings_that_the_walk_does_not_come_to_have_a_bound(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_KEPT", 5)
    monkeypatch.setattr(module, "_AT_ONCE", 3)

    with Eager(1) as ahead:
        kept = [len(ahead._listed) for _ in walk_folders(tree, ahead=ahead)]

    assert len(kept) == len(list(walk_folders(tree)))
    assert 5 <= max(kept) < 5 + 3
