"""The faults that `make torture` plants, without planting them."""

from tests.torture.mutations import FAULTS, ROOT


def test_each_planted_fault_has_its_place_and_its_tests() -> None:
    stale = [
        fault.what
        for fault in FAULTS
        if (ROOT / "drawcli" / fault.file).read_text(encoding="utf-8").count(fault.right) != 1
        or not all((ROOT / path.partition("::")[0]).exists() for path in fault.tests)
    ]

    assert len(FAULTS) > 60
    assert stale == []
