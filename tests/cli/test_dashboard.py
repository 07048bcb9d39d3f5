"""dashboard as its users start it, and end it."""

import os
import signal
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

import pytest

from drawcli.dashboard.access.password import Secret
from drawcli.dashboard.access.rights import Right
from tests.cli.conftest import Run, piped
from tests.conftest import Site
from tests.dashboard.conftest import WORDS

if TYPE_CHECKING:
    from drawcli.dashboard.access.options import DashboardOptions


def test_another_address_is_refused_with_what_to_do(drawcli: Run) -> None:
    ended = drawcli("dashboard", "--host", "0.0.0.0")  # noqa: S104 - it is refused

    assert ended.code == 2
    assert "0.0.0.0 is not loopback" in ended.err
    assert "drawcli dashboard --set-password" in ended.err


def test_a_password_is_taken_from_standard_input_and_a_token_is_told_once(
    drawcli: Run, site: Site
) -> None:
    given = piped(site, f"{WORDS}\n", "dashboard", "--set-password")
    stored = Secret(site.state).verify(WORDS)
    token = drawcli("dashboard", "--make-token", "--json").answer["data"]["token"]

    assert (given.code, stored) == (0, True)
    assert WORDS not in given.out + given.err
    assert Secret(site.state).verify(token)


def test_a_setting_shows_patients_without_a_terminal_and_the_option_does_not(
    drawcli: Run, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[DashboardOptions] = []
    monkeypatch.setattr(
        "drawcli.dashboard.serve.serve", lambda _site, options, *_rest: served.append(options)
    )
    site.add_line("dashboard: {identify: true}")
    without = drawcli("dashboard")
    Secret(site.state).store(WORDS)
    by_setting, by_option = drawcli("dashboard"), drawcli("dashboard", "--identify")

    assert (without.code, by_setting.code, by_option.code) == (2, 0, 2)
    assert "needs a password" in without.err
    assert "on a terminal only" in by_option.err
    assert [one.rights for one in served] == [{Right.PATIENTS}]


STOP_BEFORE_SERVING = """
import runpy, sys
import drawcli.dashboard.serve as page
assert "pydicom" not in sys.modules
page.open_listener = lambda _options: sys.exit(33 if "pydicom" in sys.modules else 34)
sys.argv = ["drawcli", "dashboard", "--port", "0"]
runpy.run_module("drawcli", run_name="__main__")
"""


def test_what_reads_images_is_there_before_two_requests_may_import_it_at_once(site: Site) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", STOP_BEFORE_SERVING], cwd=site.folder, check=False, timeout=300
    )

    assert ended.returncode == 33


@pytest.mark.skipif(sys.platform == "win32", reason="Windows interrupts otherwise")
def test_it_serves_until_it_is_interrupted_and_then_ends_well(site: Site) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "drawcli", "dashboard", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=site.folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    url = process.stdout.readline().split()[-1]
    with (
        urllib.request.urlopen(url) as page,  # noqa: S310 - it is http on loopback
        urllib.request.urlopen(f"{url}live") as stream,  # noqa: S310 - likewise
    ):
        status, first = page.status, stream.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)

    assert (status, first) == (200, b"retry: 3000\n")
    assert (process.returncode, err) == (0, "")
