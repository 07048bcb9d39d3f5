"""Workers on several hosts while processes, hosts, network and database fail: each series once.

The short form is part of the sweep; `make torture` does the long one. SEED, JOBS and HOSTS in the
environment choose another run, and each prints what it did, with its seed.
"""

import json
import os
import random
import subprocess
import sys

import pytest

from tests.postgres import needs_postgres
from tests.torture.cluster.network import APART, is_possible
from tests.torture.kit import tell

LONG = int(os.environ.get("TORTURE", "1")) > 1
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1_000_000) if LONG else 7))
JOBS = int(os.environ.get("JOBS", "10000" if LONG else "60"))
HOSTS = int(os.environ.get("HOSTS", "8" if LONG else "4"))
TROUBLES = 200 if LONG else 12
pytestmark = [needs_postgres, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


@pytest.mark.parametrize("work", ["host", "shared"] if LONG else ["host"])
def test_whatever_fails_each_series_is_done_once(work: str) -> None:
    apart = is_possible()
    order = {
        "seed": SEED,
        "jobs": JOBS,
        "hosts": HOSTS,
        "troubles": TROUBLES,
        "work": work,
        "apart": apart,
    }
    played = subprocess.run(
        [
            *(APART if apart else ()),
            *(sys.executable, "-m", "tests.torture.cluster.scenario", json.dumps(order)),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    tell(played.stdout)
    assert played.returncode == 0, f"{order}\n{played.stderr}"
    result = json.loads(played.stdout)

    assert result["violations"] == [], result
    assert result["done"] == JOBS
    assert result["delivered"] == JOBS
    assert result["troubles"].get("database"), result
