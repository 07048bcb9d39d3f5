"""Faults are read as they are written, and come as often as they should."""

import pytest

from drawcli.errors import UsageError
from drawcli.sandbox.faults import (
    AFTER,
    FIRST,
    INSTEAD,
    Fault,
    Panel,
    archive_table,
    read_faults,
    table,
)
from drawcli.sandbox.pacs.options import ARCHIVE_FAULTS


def test_the_example_of_the_manual_is_read() -> None:
    text = (
        "upload:500*2, status:html,rtstruct:truncate@20%,confirm:drop,token:expire,"
        "slow:4k/s,health:503@30s,upload:429/30s*,status:slow 2M/s"
    )

    assert read_faults(text) == (
        Fault(endpoint="upload", what="500", times=2),
        Fault(endpoint="status", what="html"),
        Fault(endpoint="download", what="truncate", part=0.2),
        Fault(endpoint="confirm", what="drop"),
        Fault(endpoint="refresh", what="expire"),
        Fault(endpoint="", what="slow", rate=4000.0, times=None),
        Fault(endpoint="health", what="503", times=None, seconds=30.0),
        Fault(endpoint="upload", what="429", wait=30, times=None),
        Fault(endpoint="status", what="slow", rate=2_000_000.0, times=None),
    )
    assert read_faults("") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("uplod:500", "does not begin with one of any, health"),
        ("500", "does not begin with one of"),
        ("upload:htm", "unknown fault 'htm'; did you mean 'html'"),
        ("upload:200", "unknown fault '200'"),
        ("slow:fast", "a rate such as 4k/s"),
        ("slow:0k/s", "a rate such as 4k/s"),
        ("upload:", "unknown fault ''"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_part(text: str, said: str) -> None:
    with pytest.raises(UsageError) as told:
        read_faults(f"health:500,{text}")

    assert said in str(told.value)
    assert text in str(told.value)
    assert "--fault list" in told.value.hint


def test_a_fault_comes_as_often_as_it_is_asked_for() -> None:
    panel = Panel(read_faults("upload:500*2,upload:html,any:503,status:404*"))

    uploads = [[one.what for one in panel.next("upload")] for _ in range(6)]
    others = [[one.what for one in panel.next(name)] for name in ("status", "status", "health")]

    assert uploads == [["500"], ["500"], ["html"], ["503"], [], []]
    assert others == [["404"], ["404"], []]
    assert panel.played == 6


def test_a_fault_of_a_span_ends_with_it() -> None:
    time = [100.0]
    panel = Panel(read_faults("health:503@30s"), now=lambda: time[0])

    early = [panel.next("health") for _ in range(3)]
    time[0] = 130.0

    assert all(early)
    assert panel.next("health") == []


def test_slowness_goes_with_any_other_fault() -> None:
    panel = Panel(read_faults("slow:4k/s,upload:500"))

    assert [[one.what for one in panel.next("upload")] for _ in range(2)] == [
        ["slow", "500"],
        ["slow"],
    ]


def test_everything_that_can_go_wrong_is_in_the_table() -> None:
    named = dict(table())

    assert set(INSTEAD | AFTER | FIRST) < set(named)
    assert all(read_faults(f"any:{what}")[0].what == what for what in INSTEAD | AFTER | FIRST)


@pytest.mark.parametrize(
    ("text", "endpoint", "what"),
    [
        ("store:full*2", "store", "full"),
        ("find:C001", "find", "C001"),
        ("qido:lose", "qido", "lose"),
    ],
)
def test_faults_of_the_archive_are_told_from_those_of_the_server(
    text: str, endpoint: str, what: str
) -> None:
    (fault,) = read_faults(text)

    assert (fault.endpoint, fault.what, fault.is_of_archive) == (endpoint, what, True)
    assert not any(fault.is_of_archive for fault in read_faults("qido:500,any:stall,slow:4k/s"))


@pytest.mark.parametrize(
    "text", ["store:500", "store:html", "echo:count", "echo:slow:4k/s", "upload:A700", "find:full"]
)
def test_a_fault_of_another_operation_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="unknown fault"):
        read_faults(text)


def test_the_table_lists_each_fault_of_the_archive_with_its_operations() -> None:
    rows = {what: where for what, where, _meaning in archive_table()}

    assert rows["lose"] == "store, find, move, get, commit, qido, wado, stow"
    assert all(
        read_faults(f"{where.split(', ')[0]}:{what}")[0].is_of_archive
        for what, where in rows.items()
        if what in ARCHIVE_FAULTS
    )
