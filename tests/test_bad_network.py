"""A network that delays, loses and cuts: every series is complete or waits, nothing comes twice.

The network is a proxy on loopback: what it does to a connection is the same in each run.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.filereader import read_dataset
from pydicom.uid import ImplicitVRLittleEndian

from drawcli.adapters.datastore.walk import read_datastore
from drawcli.adapters.delivery import dicom_node
from drawcli.adapters.dicom_network.association import Deadlines
from drawcli.core.jobs.job import State
from drawcli.pipeline.runner import Selection, run_step
from drawcli.sandbox.server import Running
from tests.conftest import HEAD_NECK, PELVIS, Clock, Site, opened
from tests.dicom_peer import Peer, listening
from tests.dicom_sender import Receiving, Sender, data_set, receiving
from tests.fake_draw import FakeDraw
from tests.fault_proxy import Proxy, Trouble, faulty
from tests.phantoms.planning import write_planning_ct
from tests.test_server_faults import Place, at_home, clock, cycle, wrong
from tests.web_archive import WebArchive, archive

__all__ = ["clock", "wrong"]
pytestmark = pytest.mark.sweep
LONG = int(os.environ.get("TORTURE", "1")) > 1
EVERY = ("cut", "end", "lose")
TRIES = 12  # connections, until a push is given up


def objects(number: int) -> dict[str, tuple[str, bytes]]:
    """Return objects of two patients in turns: their series and data sets, by SOP Instance UID."""
    return {
        f"1.2.{number}.{patient}.{n}": (
            f"1.2.{number}.{patient}",
            data_set(
                f"1.2.{number}.{patient}.{n}",
                series=f"1.2.{number}.{patient}",
                pixels=bytes([patient, n]) * (300_000 if n == 1 else 3000),
            ),
        )
        for n in range(3)
        for patient in (1, 2)
    }


def push(port: int, wanted: dict[str, tuple[str, bytes]], told: set[str]) -> None:
    """Send in one association what was not confirmed yet; note what is."""
    with suppress(OSError, EOFError), Sender(port) as sender:
        sender.associate()
        for uid, (_, data) in wanted.items():
            if uid not in told and sender.store(uid, data) == 0:
                told.add(uid)
        sender.release()


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiving]:
    with receiving(tmp_path_factory.mktemp("site")) as running:
        yield running


def of_push(running: Receiving, wanted: dict[str, tuple[str, bytes]]) -> Proxy:
    """Return how many bytes a whole push has in each direction."""
    with faulty(running.port) as proxy:
        push(proxy.port, wanted, set())
    return proxy


def places(size: int, short: int) -> list[int]:
    """Return where a stream of so many bytes is cut: near both ends, and in between."""
    count = 60 if LONG else short
    return sorted({0, 1, size - 1, *(size * n // count for n in range(1, count))})


@pytest.mark.parametrize("what", EVERY)
@pytest.mark.parametrize("direction", ["sent", "answered"])
def test_a_push_that_breaks_off_anywhere_is_completed_and_stored_once(
    listener: Receiving, direction: str, what: str
) -> None:
    first = 1000 * (1 + 10 * EVERY.index(what) + 5 * (direction == "sent"))
    size = of_push(listener, objects(first)).passed[direction]

    for number, after in enumerate(places(size, 6), first + 1):
        wanted, told = objects(number), set[str]()
        with faulty(listener.port, *[Trouble(direction, after, what, silence=0.05)] * 2) as proxy:
            for _ in range(TRIES):
                push(proxy.port, wanted, told)
                check(listener, number, wanted, told)
                if told == wanted.keys():
                    break
        assert told == wanted.keys(), after


def check(
    running: Receiving, number: int, wanted: dict[str, tuple[str, bytes]], told: set[str]
) -> None:
    """What was confirmed is there; whatever is there is whole, in its series, and once."""
    stored = [path for path in running.stored() if path.parent.name.startswith(f"1.2.{number}.")]
    names = [path.stem for path in stored]
    assert len(set(names)) == len(names)
    assert told <= set(names) <= wanted.keys()
    for path in stored:
        series, data = wanted[path.stem]
        assert path.parent.name == series
        assert path.read_bytes().endswith(data)


def test_a_slow_line_delays_and_loses_nothing(listener: Receiving) -> None:
    wanted, told = objects(9), set[str]()
    with faulty(listener.port, Trouble(delay=0.01)) as proxy:
        push(proxy.port, wanted, told)
        assert proxy.connections == 1
    assert told == wanted.keys()
    check(listener, 9, wanted, told)


def test_a_series_that_the_network_cut_waits_until_it_is_complete(
    site: Site, clock: Clock, tmp_path: Path
) -> None:
    paths = write_planning_ct(tmp_path / "a", PELVIS, slices=8, size=32)
    others = write_planning_ct(tmp_path / "b", HEAD_NECK, slices=8, size=32)
    order = (0, 1, 3, 4, 6, 7, 2, 5)  # cut off behind the sixth, both series have gaps
    slices = [one[n] for n in order for one in (paths, others)]
    wanted = {str(dcmread(path).SOPInstanceUID): ("", behind_meta(path)) for path in slices}
    told = set[str]()
    with receiving(tmp_path / "other") as running:
        size = sum(len(data) for _, data in wanted.values())
        with faulty(running.port, Trouble("sent", size * 25 // 32, "cut")) as proxy:
            push(proxy.port, wanted, told)
            before = states(site, clock, running)
            assert 0 < len(told) < len(wanted)
            push(proxy.port, wanted, told)
        after = states(site, clock, running)
        walked = read_datastore([running.folder])

    assert set(before) == {State.WAITING}
    assert after == [State.FOUND, State.FOUND]
    assert {one.sop_uid for one in walked.slices} == wanted.keys()
    assert len(walked.slices) == len(wanted)


def states(site: Site, clock: Clock, running: Receiving) -> list[State]:
    """Return the states of all series after a scan of what was received."""
    site.config.write_text(
        f"datastore: '{running.folder}'\nstate_dir: state\nscan: {{quiet_minutes: 0}}\n"
    )
    clock.advance(minutes=20)
    with opened(site, FakeDraw(), clock) as ctx:
        run_step("scan", ctx, Selection())
        return sorted(job.state for job in ctx.ledger.jobs())


def behind_meta(path: Path) -> bytes:
    data = path.read_bytes()
    return data[144 + int.from_bytes(data[140:144], "little") :]


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = partial(Deadlines, answer=60.0, rest=60.0, release=0.3, early=0.0)
    monkeypatch.setattr(dicom_node, "Deadlines", limits)


def to_node(proxy: Proxy, peer: Peer) -> Place:
    def found() -> list[Dataset]:
        return [
            read_dataset(BytesIO(one), is_implicit_VR=True, is_little_endian=True)
            for one in peer.received
        ]

    address = f"TPS@127.0.0.1:{proxy.port}"
    return Place(f"deliver: {{targets: [{{node: '{address}'}}]}}\n", found)


def to_archive(proxy: Proxy, web: WebArchive) -> Place:
    address = f"http://127.0.0.1:{proxy.port}/dicom-web"
    return Place(
        f"deliver: {{targets: [{{stow: '{address}'}}]}}\n",
        lambda: [dcmread(BytesIO(one)) for one in web.received],
    )


TROUBLES = [
    *(
        Trouble("sent", after, what)
        for after in (0, 100, 2_000, 20_000)
        for what in ("cut", "lose")
    ),
    *(Trouble("answered", n, what) for n in (0, 20, 130, 300) for what in ("cut", "end")),
]


@pytest.mark.parametrize("trouble", TROUBLES if LONG else TROUBLES[1::3], ids=str)
@pytest.mark.parametrize("kind", ["node", "stow"])
@pytest.mark.parametrize("wrong", [""], indirect=True)
@pytest.mark.usefixtures("pelvis", "_impatient")
def test_a_delivery_that_breaks_off_is_repeated_with_the_same_file_and_confirmed_once(
    site: Site, clock: Clock, wrong: Running, kind: str, trouble: Trouble
) -> None:
    troubles = [trouble, trouble]
    if kind == "node":
        with (
            listening(Peer(), coded=ImplicitVRLittleEndian) as peer,
            faulty(peer.port, *troubles) as proxy,
        ):
            told = cycle(site, clock, wrong, place=to_node(proxy, peer))
    else:
        with archive(WebArchive()) as web, faulty(web.port, *troubles) as proxy:
            told = cycle(site, clock, wrong, place=to_archive(proxy, web))

    (job,) = told.jobs
    assert (job.state, job.held) == (State.DONE, False)
    assert 1 <= len(told.delivered) <= proxy.connections <= 1 + len(troubles)
    assert all(one == told.delivered[0] for one in told.delivered)  # the same SOP instance
    told.delivered = told.delivered[:1]
    at_home(told)
    assert wrong.requests["confirm"] == 1
