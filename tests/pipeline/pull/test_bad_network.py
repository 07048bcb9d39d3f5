"""A network that cuts, ends or loses in the middle of a pull: complete or waiting, never more."""

import os
import shutil
from itertools import product

import pytest

from drawcli.adapters.dicom_network import query_association
from drawcli.core.jobs.job import State
from tests.fault_proxy import Trouble, faulty
from tests.pipeline.pull.conftest import Hospital, uids

LONG = int(os.environ.get("TORTURE", "1")) > 1
PLACES = range(0, 30_000, 1500 if LONG else 11_000)  # bytes that an association carries
pytestmark = [
    pytest.mark.sweep,
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
    ),
]


@pytest.mark.usefixtures("pelvic")
@pytest.mark.parametrize("what", ["cut", "end", "lose"])
def test_whatever_the_network_does_a_series_is_complete_or_waits(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(query_association, "PULL_NEXT_SECONDS", 5.0)
    whole = uids(hospital.scans["pelvis"])
    stopped = 0
    with faulty(hospital.pacs.port) as proxy:
        hospital.change(f":{hospital.pacs.port}'", f":{proxy.port}'")
        for place, retrieval in product(PLACES, (False, True)):
            for folder in (hospital.site.store / "pulled", hospital.site.state / "pull"):
                shutil.rmtree(folder, ignore_errors=True)
            proxy.troubles = [Trouble()] * retrieval + [Trouble("answered", place, what)]
            source = hospital.pull()
            complete = source.counts == {"pulled": 1}

            assert hospital.stored.keys() <= whole
            assert (hospital.stored.keys() == whole) or not complete
            stopped += not complete
            assert hospital.pull().counts.keys() <= {"pulled", "complete"}
            assert hospital.stored.keys() == whole
    assert stopped > len(PLACES)
    assert hospital.scan().state is State.FOUND
