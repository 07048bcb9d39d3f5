"""packaging/cluster.compose.yaml says what the page says; its commands and settings work."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Run, drawcli
from tests.conftest import Site
from tests.documents.blocks import ROOT
from tests.postgres import PASSWORD, needs_postgres, postgres

COMPOSE = ROOT / "packaging" / "cluster.compose.yaml"
HARDENED = ("init", "user", "read_only", "tmpfs", "cap_drop", "security_opt", "pids_limit")
OWNER = "drawcli_owner"
__all__ = ["drawcli"]  # the fixture


@pytest.fixture
def compose() -> dict[str, Any]:
    whole: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return whole


def test_each_service_can_do_as_little_as_that_of_one_machine(compose: dict[str, Any]) -> None:
    one = yaml.safe_load((ROOT / "packaging" / "compose.yaml").read_text(encoding="utf-8"))
    alone = one["services"]["drawcli"]

    for name, service in compose["services"].items():
        same = [key for key in HARDENED if key not in ("init", "pids_limit") or name != "database"]
        assert {key: service[key] for key in same} == {key: alone[key] for key in same}, name
        assert service["logging"] == alone["logging"]
        assert "ports" not in service
    assert compose["services"]["database"]["network_mode"] == "none"


def test_two_workers_differ_in_their_state_folder_only(compose: dict[str, Any]) -> None:
    first, second = (compose["services"][f"worker-{n}"] for n in (1, 2))

    states = [one["volumes"][0] for one in (first, second)]
    assert states == ["state-1:/var/lib/drawcli", "state-2:/var/lib/drawcli"]
    assert {**first, "volumes": first["volumes"][1:]} == {
        **second,
        "volumes": second["volumes"][1:],
    }
    assert first["command"][0] == "worker"
    given = {one.partition(":")[0] for one in (*first["volumes"], *second["volumes"])}
    assert {"state-1", "state-2", "socket", "./site"} <= given
    assert set(compose["volumes"]) - {"database"} <= given


def test_no_secret_is_in_the_environment(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, text in service.get("environment", {}).items():
            if re.search("PASSWORD|KEY", name):
                assert "/run/secrets/" in text, name
        assert set(service.get("secrets", [])) <= compose["secrets"].keys()
    assert all("file" in one for one in compose["secrets"].values())


def test_the_page_has_the_same_commands_and_names(compose: dict[str, Any]) -> None:
    page = (ROOT / "docs/how-to/cluster.md").read_text(encoding="utf-8")
    init, worker = (compose["services"][name]["command"] for name in ("init", "worker-1"))

    assert f"drawcli {' '.join(init[:2])} --admin" in page
    assert f"--site {init[init.index('--site') + 1]}" in page
    assert f"drawcli {worker[0]} {worker[1]} " in page
    assert COMPOSE.name in page
    settings = compose["services"]["worker-1"]["environment"]
    assert settings["DRAWCLI_LEDGER"].partition("@")[0] in page
    assert settings["DRAWCLI_CLUSTER__SITE"] in init


@needs_postgres
def test_its_commands_and_settings_make_a_site_that_works(
    compose: dict[str, Any], drawcli: Run, site: Site, tmp_path: Path
) -> None:
    """The socket and the secrets are at other places than in the containers."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name, text in (("owner", PASSWORD), ("north", "n" * 64), ("site_key", "5a" * 32)):
        (secrets / name).touch(mode=0o600)
        (secrets / name).write_text(text)
    (site.state / "site.key").unlink()
    with postgres(tmp_path / "server", unix_socket_directories="'.'") as server:
        server.execute(
            f"CREATE ROLE {OWNER} LOGIN SUPERUSER PASSWORD '{PASSWORD}'",
            f"CREATE DATABASE drawcli OWNER {OWNER}",
        )
        socket = os.path.realpath(server.data)

        def here(text: str) -> str:
            placed = text.replace("/run/secrets/", f"{secrets}/")
            return placed.replace("/run/postgresql", f"{socket}&port={server.port}")

        worker = compose["services"]["worker-1"]["environment"]
        settings = {name: here(text) for name, text in worker.items() if "DRAWCLI_" in name}
        settings["DRAWCLI_DELIVER__FOLDER"] = str(site.store)
        made = drawcli(*map(here, compose["services"]["init"]["command"]))
        again = drawcli(*map(here, compose["services"]["init"]["command"]))
        scanned = drawcli("scan", **settings)
        shown = drawcli("cluster", "status", "--json", **settings)

    assert made.code == again.code == 0, made.err + again.err
    assert scanned.code == 0, scanned.err
    facts = shown.answer["data"]
    assert (facts["site"], facts["role"]) == ("north", "drawcli_north")
    assert f"ledger: {settings['DRAWCLI_LEDGER']}" in made.out
    assert not (site.state / "site.key").exists()
