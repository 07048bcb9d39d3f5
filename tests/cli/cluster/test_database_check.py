"""`doctor` reports how the connection to the database of the ledger is protected."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cli.conftest import Run
from tests.conftest import Site
from tests.postgres import PASSWORD, Postgres, needs_postgres, password_file
from tests.tls import Authority

pytestmark = needs_postgres
Check = Callable[..., dict[str, Any]]


@pytest.fixture
def authority(postgres_server: Postgres, tmp_path: Path) -> Iterator[Authority]:
    made = Authority(tmp_path)
    with postgres_server.speaking_tls(*made.certificate("127.0.0.1")):
        yield made


def group_check(drawcli: Run, site: Site, address: str, secret: Path) -> dict[str, Any]:
    """Return the check of the database of a group."""
    group = f'group: {{database: "{address}", password_file: {secret}}}'
    with_group = site.folder / "group.yaml"
    with_group.write_text(f"{site.config.read_text()}\n{group}\n")
    told = drawcli("doctor", "--offline", "--json", "-c", str(with_group))
    (found,) = [one for one in told.answer["data"]["checks"] if one["check"] == "group database"]
    return dict(found)


def test_the_database_of_a_group_is_checked(
    drawcli: Run, site: Site, address: str, postgres_server: Postgres, authority: Authority
) -> None:
    database = address.rpartition("/")[2]
    postgres_server.execute(
        "DROP ROLE IF EXISTS group_check",
        f"CREATE ROLE group_check LOGIN PASSWORD '{PASSWORD}' IN ROLE drawcli_group",
        database=database,
    )
    here, secret = postgres_server.url("group_check", database), password_file(postgres_server)
    weak = f"{leaving(here)}&sslmode=require&sslrootcert={authority.file}"

    well = group_check(drawcli, site, here, secret)
    warned = group_check(drawcli, site, weak, secret)
    refused = group_check(drawcli, site, address, secret)
    away = group_check(drawcli, site, "postgresql://u@127.0.0.1:9/draw", secret)

    assert [one["grade"] for one in (well, warned, refused, away)] == ["PASS", *["WARN"] * 3]
    assert well["text"].endswith("the connection does not leave this machine; 2 sites")
    assert "sslmode=require does not verify" in warned["text"]
    assert "the role has no right to do this" in refused["text"]
    assert "does not answer" in away["text"]


@pytest.fixture
def check(drawcli: Run, site: Site) -> Check:
    """Return a function that returns the check of the database by a site with a ledger."""

    def checked(ledger: str, **env: str) -> dict[str, Any]:
        before = site.config.read_text()
        site.add_line(f'ledger: "{ledger}"')
        checks = drawcli("doctor", "--offline", "--json", **env).answer["data"]["checks"]
        site.config.write_text(before)
        (found,) = [one for one in checks if one["check"] == "database"]
        assert bool(found["remedy"]) == (found["grade"] != "PASS")
        return dict(found)

    return checked


def leaving(address: str) -> str:
    """Return an address that could lead to another machine, and leads to this one."""
    parts = urlsplit(address)
    return f"postgresql://{parts.username}@{parts.path}?host=127.0.0.1,db.invalid&port={parts.port}"


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("disable", "sslmode=disable does not encrypt; now not encrypted"),
        ("prefer", "sslmode=prefer does not verify that it is the database that answers"),
        ("require", "sslmode=require does not verify that it is the database that answers"),
        ("verify-ca", "sslmode=verify-ca verifies who issued the certificate"),
    ],
)
def test_a_weak_sslmode_to_another_machine_is_a_warning(
    check: Check, address: str, authority: Authority, mode: str, words: str
) -> None:
    found = check(f"{leaving(address)}&sslmode={mode}&sslrootcert={authority.file}")

    assert found["grade"] == "WARN"
    assert words in found["text"]
    assert found["text"].endswith("now not encrypted" if mode == "disable" else "now encrypted")
    assert "?sslrootcert=" in found["remedy"]


def test_a_verified_or_local_connection_passes(
    check: Check, address: str, authority: Authority
) -> None:
    verified = check(f"{leaving(address)}&sslrootcert={authority.file}")
    here = check(address)

    assert (verified["grade"], here["grade"]) == ("PASS", "PASS")
    assert verified["text"].endswith("TLS, certificate and name verified")
    assert here["text"].endswith("the connection does not leave this machine")


@pytest.mark.usefixtures("authority")
def test_a_service_verifies_only_if_its_file_says_so(
    check: Check, address: str, tmp_path: Path
) -> None:
    """The mode of the ledger does not count for a service: that of libpq is `prefer`."""
    parts, file = urlsplit(address), tmp_path / "services"
    file.write_text(f"[ward]\nhost=127.0.0.1,db.invalid\nport={parts.port}\nuser=north\n")

    found = check(f"postgresql://{parts.path}?service=ward", PGSERVICEFILE=str(file))

    assert (found["grade"], "sslmode=prefer" in found["text"]) == ("WARN", True)


def test_a_site_without_a_database_has_no_such_check(drawcli: Run, site: Site) -> None:
    del site
    checks = drawcli("doctor", "--offline", "--json").answer["data"]["checks"]

    assert "database" not in {one["check"] for one in checks}
