"""A network that cuts, ends or loses in the middle of a pull: complete or waiting, never more."""

import os
import shutil
from collections.abc import Iterable
from itertools import product

import pytest

from drawcli.adapters.archive import web_archive
from drawcli.adapters.dicom_network import query_association
from drawcli.core.jobs.job import State
from drawcli.pipeline.pull import series
from drawcli.pipeline.runner import Selection, run_step
from tests.fault_proxy import Proxy, Trouble, faulty
from tests.pipeline.pull.conftest import Hospital, dicomweb, uids
from tests.pipeline.pull.test_move import Moved, moved

__all__ = ["moved"]

LONG = int(os.environ.get("TORTURE", "1")) > 1
PLACES = range(0, 30_000, 1500 if LONG else 11_000)  # bytes that an association carries
MOVE_PLACES = range(100, 12_000, 1000 if LONG else 8_000)
WEB_PLACES = range(0, 20_000, 1500 if LONG else 5_000)  # all answers
pytestmark = pytest.mark.sweep


@pytest.mark.usefixtures("pelvic")
@pytest.mark.parametrize("what", ["cut", "end", "lose"])
def test_whatever_the_network_does_a_series_is_complete_or_waits(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(query_association, "PULL_NEXT_SECONDS", 5.0)
    with faulty(hospital.pacs.port) as proxy:
        hospital.change(f":{hospital.pacs.port}'", f":{proxy.port}'")
        places = product(PLACES, (False, True))
        troubles = ([Trouble()] * get + [Trouble("answered", at, what)] for at, get in places)
        assert cut_everywhere(hospital, proxy, troubles) > len(PLACES)
    assert hospital.scan().state is State.FOUND


@pytest.mark.usefixtures("pelvic")
@pytest.mark.parametrize("what", ["cut", "end", "lose"])
def test_the_same_by_dicomweb(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(web_archive, "PULL_NEXT_SECONDS", 5.0)
    monkeypatch.setattr(web_archive, "_MOST_APART", 3)
    with dicomweb(hospital) as port, faulty(port) as proxy:
        hospital.change(f":{port}/", f":{proxy.port}/")
        troubles = ([Trouble("answered", at, what)] for at in WEB_PLACES)
        assert cut_everywhere(hospital, proxy, troubles) >= len(WEB_PLACES) - 1
    assert hospital.scan().state is State.FOUND


@pytest.mark.parametrize("what", ["cut", "end", "lose"])
@pytest.mark.parametrize("to_us", [False, True])
def test_the_same_by_c_move(
    moved: Moved,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    to_us: bool,  # noqa: FBT001 - a table
) -> None:
    """On the way of the request and its answers, and on the way of the objects to `receive`."""
    monkeypatch.setattr(query_association, "PULL_NEXT_SECONDS", 5.0)
    monkeypatch.setattr(series, "PULL_LAST_SECONDS", 0.5)
    whole = uids(moved.scans["pelvis"])
    _, receiver = moved.pacs.nodes["DRAWCLI"]
    with faulty(receiver if to_us else moved.pacs.port) as proxy:
        if to_us:
            moved.pacs.nodes["DRAWCLI"] = ("127.0.0.1", proxy.port)
        else:
            moved.change(f":{moved.pacs.port}'", f":{proxy.port}'")
        for place in MOVE_PLACES:
            shutil.rmtree(moved.site.state / "pull", ignore_errors=True)
            for folder in (moved.site.store / "in").glob("1*"):
                shutil.rmtree(folder)
            trouble = Trouble("sent" if to_us else "answered", place, what)
            proxy.troubles = [trouble] if to_us else [Trouble(), trouble]
            complete = moved.pull().counts == {"pulled": 1}

            assert moved.stored.keys() <= whole
            assert (moved.stored.keys() == whole) or not complete
            if not complete:  # one or two images alone are no job
                run_step("scan", moved.ctx, Selection())
                assert {job.reason_code for job in moved.ctx.ledger.jobs()} <= {"pulling"}
            assert moved.pull().counts.keys() <= {"pulled", "complete"}
            assert moved.stored.keys() == whole
    assert moved.scan().state is State.FOUND


def cut_everywhere(hospital: Hospital, proxy: Proxy, all_: Iterable[list[Trouble]]) -> int:
    """Pull with each list of troubles, and again without; return how many pulls were stopped."""
    whole = uids(hospital.scans["pelvis"])
    stopped = 0
    for troubles in all_:
        for folder in (hospital.site.store / "pulled", hospital.site.state / "pull"):
            shutil.rmtree(folder, ignore_errors=True)
        proxy.troubles = troubles
        source = hospital.pull()
        complete = source.counts == {"pulled": 1}

        assert hospital.stored.keys() <= whole
        assert (hospital.stored.keys() == whole) or not complete
        stopped += not complete
        assert hospital.pull().counts.keys() <= {"pulled", "complete"}
        assert hospital.stored.keys() == whole
    return stopped
