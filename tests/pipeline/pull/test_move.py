"""Pulling by C-MOVE: the archive sends to `drawcli receive`, and the pull waits for it."""

import gc
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest

from drawcli.core.jobs.job import State
from drawcli.errors import OutOfReach
from drawcli.operations.receive.serve import receive
from drawcli.pipeline.pull import series as series_pull
from drawcli.sandbox.pacs.dimse import PacsServer
from drawcli.sandbox.pacs.options import PacsOptions
from tests.conftest import SLICES, Clock, Site, opened
from tests.fake_draw import FakeDraw
from tests.pipeline.pull.conftest import Hospital, Pacs, SwitchArchive, SwitchPanel, uids
from tests.waiting import wait_until


@dataclass
class Moved(Hospital):
    """A hospital whose archive sends by C-MOVE."""

    @property
    def stored(self) -> dict[str, Path]:
        return {path.stem: path for path in (self.site.store / "in").glob("1*/*.dcm")}


@contextmanager
def receiving(site: Site) -> Iterator[int]:
    """Run `receive` in a thread; yield its port."""
    listeners, ports = list[object](), list[int]()

    def told(address: str, listener: object) -> None:
        ports.append(int(address.rpartition(":")[2]))
        listeners.append(listener)

    thread = Thread(target=receive, args=(site.settings(), told), daemon=True)
    thread.start()
    wait_until(lambda: bool(listeners))
    try:
        yield ports[0]
    finally:
        listeners[0].stop()  # type: ignore[attr-defined]
        thread.join(30)


@pytest.fixture
def moved(
    site: Site, draw: FakeDraw, clock: Clock, scans: dict[str, list[Path]], tmp_path: Path
) -> Iterator[Moved]:
    text = site.config.read_text().replace("quiet_minutes: 0", "quiet_minutes: 60")
    site.config.write_text(text)
    site.add_line(
        "receive: {listen: '127.0.0.1:0', keep_free_gib: 0, folder: store/in, "
        "callers: [SANDBOX@127.0.0.1]}"
    )
    (tmp_path / "pacs").mkdir()
    archive, panel = SwitchArchive(tmp_path / "pacs"), SwitchPanel()
    with receiving(site) as port:
        nodes = {"DRAWCLI": ("127.0.0.1", port)}
        with closing(PacsServer(archive, PacsOptions(nodes=nodes), panel)) as server:
            site.add_line(
                f"pull: {{sources: [{{node: 'SANDBOX@127.0.0.1:{server.port}', by: move, "
                "keys: {Modality: CT}}]}"
            )
            pacs = Pacs(archive, panel, server.port, nodes=nodes)
            pacs.add(*scans["pelvis"])
            with opened(site, draw, clock) as ctx:
                yield Moved(site, pacs, ctx, clock, scans)
    gc.collect()  # sockets that pynetdicom has left, while their warning is expected


def test_a_series_comes_by_c_move_and_needs_no_quiet_time(moved: Moved) -> None:
    source = moved.pull()

    assert source.counts == {"pulled": 1}
    assert source.stored == SLICES
    assert moved.stored.keys() == uids(moved.scans["pelvis"])
    assert moved.scan().state is State.FOUND
    assert moved.pull().counts == {"complete": 1}


def test_an_archive_that_stops_in_the_middle_is_asked_for_the_rest(
    moved: Moved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series_pull, "PULL_LAST_SECONDS", 0.2)
    moved.pacs.faults("move:lose*1")

    (series,) = moved.pull().series

    assert (series.outcome, series.code) == ("waiting", "archive-incomplete")
    assert series.missing == SLICES // 2
    assert moved.scan().reason_code == "pulling"
    assert moved.pull().counts == {"pulled": 1}
    assert moved.stored.keys() == uids(moved.scans["pelvis"])


def test_an_archive_that_does_not_know_us_refuses(moved: Moved) -> None:
    moved.change("callers:", "ae_title: OTHER, callers:")

    (series,) = moved.pull().series

    assert (series.outcome, series.code) == ("refused", "archive-refused")
    assert "does not know our AE title" in series.text


def test_without_a_receiver_nothing_is_asked_for(hospital: Hospital) -> None:
    hospital.change("receive: {", "receive: {folder: store/in, callers: [A@127.0.0.1], ")
    hospital.change("folder: store/pulled, ", "by: move, ")

    source = hospital.pull()

    assert isinstance(source.error, OutOfReach)
    assert source.error.code == "pull-receiver"
    assert hospital.pacs.asked == []
