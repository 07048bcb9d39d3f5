from pathlib import Path

from drawcli.adapters.state.run_log import RunLog
from tests.cli.conftest import Run
from tests.conftest import Site


def test_each_run_leaves_its_line_in_the_run_book(
    drawcli: Run, site: Site, pelvis: list[Path]
) -> None:
    book = RunLog(site.state)
    drawcli("run-once", "--dry-run")
    assert book.last() is None
    assert pelvis

    ended = drawcli("run-once")  # nobody answers at the address of the site

    run = book.last()
    assert run is not None
    assert (run.exit_code, ended.code, run.server) == (7, 7, "out-of-reach")
    assert run.counts["match"] == {"matched": 1}
    assert book.last_success() is None


def test_a_run_that_could_not_finish_says_why_in_the_run_book(drawcli: Run, site: Site) -> None:
    (site.folder / "token.json").unlink()

    ended = drawcli("run-once")

    run = RunLog(site.state).last()
    assert run is not None
    assert (run.exit_code, run.error != "", run.server) == (ended.code, True, "")
