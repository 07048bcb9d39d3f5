"""The sites of a group from files, pages and a database."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from drawcli.adapters.ledger.postgres.site import database_ledger
from drawcli.adapters.ledger.postgres.site_values import SUMMARY, write_value
from drawcli.adapters.site_status import pushed_files
from drawcli.adapters.site_status.pushed_files import _LARGEST
from drawcli.config.sections_cluster import Cluster
from drawcli.config.sections_group import GroupSite, GroupView
from drawcli.operations.group.sites import GroupSiteState, group_sites
from tests.conftest import Site
from tests.postgres import PASSWORD, Postgres, needs_postgres, password_file, with_tables


def told(level: str = "well", **data: Any) -> bytes:
    verdict = {"level": level, "headline": f"It is {level}"}
    data = {"verdict": verdict, "counts": {"found": 2, "done": 5}} | data
    return json.dumps({"schema": 1, "command": "status", "data": data}).encode()


def states(sites: list[GroupSiteState]) -> list[tuple[str, str, str]]:
    return [(site.name, site.level, site.why) for site in sites]


@pytest.mark.parametrize("beyond", [0, 1])
def test_files_of_sites_have_a_bound(
    beyond: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushed_files, "_MOST", 3 - beyond)
    for number in range(3):
        (tmp_path / f"site{number}.json").write_bytes(told())

    sites = group_sites(GroupView(folder=tmp_path), datetime.now(UTC))

    others = [("others", "unknown", "the folder has more than 2 sites")]
    assert states(sites) == [
        *(others * beyond),
        *((f"site{number}", "well", "") for number in range(3 - beyond)),
    ]


def test_pushed_files_are_sites_and_the_worst_is_first(tmp_path: Path) -> None:
    (tmp_path / "well.json").write_bytes(told())
    (tmp_path / "broken.json").write_bytes(told("broken", held_reasons={"gate": 3}))
    (tmp_path / "old.json").write_bytes(told())
    os.utime(tmp_path / "old.json", (time.time() - 9 * 3600 - 60,) * 2)
    (tmp_path / "odd.json").write_bytes(b"\xff{")
    (tmp_path / "deep.json").write_bytes(b"[" * 100_000)
    (tmp_path / "large.json").write_bytes(b" " * (_LARGEST + 1))
    (tmp_path / "notes.txt").write_bytes(b"no site")

    sites = group_sites(GroupView(folder=tmp_path), datetime.now(UTC))

    assert states(sites) == [
        ("broken", "broken", "It is broken"),
        ("old", "silent", "no report for 9 h"),
        ("deep", "unknown", "its report is not the output of 'drawcli status --json'"),
        ("large", "unknown", f"its file has more than {_LARGEST:,} bytes"),
        ("odd", "unknown", "its report is not the output of 'drawcli status --json'"),
        ("well", "well", ""),
    ]
    assert sites[0].as_plain()["held"] == 3
    assert sites[-1].open_jobs == 2


def test_a_missing_folder_is_listed_with_its_error(tmp_path: Path) -> None:
    (site,) = group_sites(GroupView(folder=tmp_path / "gone"), datetime.now(UTC))

    assert (site.name, site.level) == ("(group.folder)", "unknown")
    assert "cannot be read" in site.why


class Page(BaseHTTPRequestHandler):
    """Another site's page."""

    def do_GET(self) -> None:
        name = self.path.removesuffix("/summary").strip("/")
        if self.headers["authorization"] != "Bearer the password":
            name = "refused"
        if name == "slow":
            self.rfile.read(1)  # until the client gives up
        status = {"refused": 401, "moved": 302}.get(name, 200)
        self.send_response(status)
        self.send_header("location", "/well/summary")
        self.end_headers()
        body = b"x" * (_LARGEST + 1) if name == "large" else told()
        with suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def pages() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_pages_are_queried_and_every_failure_has_its_own_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from drawcli.adapters.site_status import queried_page

    token, wrong = tmp_path / "token", tmp_path / "wrong"
    for path, text in ((token, "the password\n"), (wrong, "guess\n")):
        path.write_text(text)
        path.chmod(0o600)
    monkeypatch.setattr(queried_page, "_LIMIT", queried_page._LIMIT._replace(seconds=60.0))
    with pages() as base:
        names = ("well", "large", "moved", "refused")
        some = [
            GroupSite(
                name=name, url=f"{base}/{name}", token_file=wrong if name == "refused" else token
            )
            for name in names
        ]
        gone = GroupSite(name="gone", url="http://127.0.0.1:9", token_file=token)
        sites = group_sites(GroupView(sites=[*some, gone]), datetime.now(UTC))

    assert {name: why for name, _, why in states(sites)} == {
        "well": "",
        "large": f"its page sends more than {_LARGEST:,} bytes",
        "moved": "its page answers with status 302",
        "refused": "its page answers with status 401",
        "gone": "its page cannot be reached",
    }


@pytest.mark.parametrize("error", [TimeoutError, httpx.ReadTimeout, httpx.ConnectTimeout])
def test_both_limits_of_a_query_have_the_same_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """A read of the client, and the query as a whole, have the same limit: either may end first."""
    from drawcli.adapters.site_status import queried_page

    def silent(_: GroupSite) -> bytes:
        raise error("ended")

    monkeypatch.setattr(queried_page, "_answer", silent)
    slow = GroupSite(name="slow", url="http://127.0.0.1:9", token_file=tmp_path / "token")

    (site,) = group_sites(GroupView(sites=[slow]), datetime.now(UTC))

    assert (site.level, site.why) == ("unknown", "its page does not answer in time")


def test_a_page_that_does_not_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from drawcli.adapters.site_status import queried_page

    token = tmp_path / "token"
    token.write_text("the password\n")
    token.chmod(0o600)
    monkeypatch.setattr(queried_page, "_LIMIT", queried_page._LIMIT._replace(seconds=0.3))
    with pages() as base:
        slow = GroupSite(name="slow", url=f"{base}/slow", token_file=token)
        (site,) = group_sites(GroupView(sites=[slow]), datetime.now(UTC))

    assert (site.level, site.why) == ("unknown", "its page does not answer in time")


@needs_postgres
def test_a_role_of_the_group_reads_the_summaries_and_nothing_else(
    site: Site, postgres_server: Postgres
) -> None:
    with_tables(postgres_server, "grouped")
    secret = password_file(postgres_server)
    postgres_server.execute(
        "DROP ROLE IF EXISTS group_view",
        f"CREATE ROLE group_view LOGIN PASSWORD '{PASSWORD}' IN ROLE drawcli_group",
        database="grouped",
    )
    north = site.settings().replace(
        ledger=postgres_server.url("north", "grouped"), cluster=Cluster(password_file=secret)
    )
    with database_ledger(north) as ledger:
        write_value(ledger.database, "", SUMMARY, told("attention").decode())
    address = postgres_server.url("group_view", "grouped")
    group = GroupView(database=address, password_file=secret)

    assert states(group_sites(group, datetime.now(UTC))) == [
        ("south", "unknown", "no report yet"),
        ("north", "attention", "It is attention"),
    ]
    later = group_sites(group, datetime.now(UTC) + timedelta(hours=5))
    assert {one.level for one in later} == {"silent", "unknown"}
    import psycopg

    with psycopg.connect(f"{address}?password={PASSWORD.replace(' ', '%20')}") as connection:
        for table in ("job", "job_file", "site_state", "host", "site"):
            with pytest.raises(psycopg.Error, match="permission denied"):
                connection.execute(f"SELECT * FROM drawcli.{table}".encode())
            connection.rollback()


def test_a_database_that_does_not_answer_is_listed_like_a_site(tmp_path: Path) -> None:
    group = GroupView(database="postgresql://u@127.0.0.1:9/draw", folder=tmp_path)
    (tmp_path / "well.json").write_bytes(told())

    away, well = group_sites(group, datetime.now(UTC))

    assert (away.name, away.level) == ("(group.database)", "unknown")
    assert "does not answer" in away.why
    assert well.level == "well"
