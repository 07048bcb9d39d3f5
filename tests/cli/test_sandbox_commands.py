import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drawcli.sandbox import server
from drawcli.sandbox.catalogue import CATALOGUE, as_json
from drawcli.sandbox.options import SandboxOptions
from drawcli.sandbox.pacs.options import PacsOptions
from tests.cli.conftest import Run


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[SandboxOptions]:
    """Return the options of the sandboxes that a command started; none of them listens."""
    options: list[SandboxOptions] = []

    def serve(folder: Path, **given: Any) -> None:
        options.append(given["options"])
        sandbox = SimpleNamespace(options=given["options"], archive=["an object"])
        url, token_file = "http://127.0.0.1:1", folder / "token.json"
        running = {"url": url, "token_file": token_file, "sandbox": sandbox}
        given["ready"](SimpleNamespace(**running, pacs=SimpleNamespace(port=11113)))

    monkeypatch.setattr(server, "serve", serve)
    return options


def test_a_sandbox_is_the_present_server_and_tells_why_tasks_fail(
    drawcli: Run, started: list[SandboxOptions]
) -> None:
    drawcli("sandbox")

    assert started == [SandboxOptions()]
    assert (started[0].dialect, started[0].realistic, started[0].strict) == (2, False, False)


def test_each_way_of_behaving_is_an_option_and_is_shown(
    drawcli: Run, started: list[SandboxOptions], tmp_path: Path
) -> None:
    path = tmp_path / "catalogue.json"
    path.write_text(json.dumps({"at": "", "models": as_json(CATALOGUE[:1])}), encoding="utf-8")
    words = ("--dialect", "1", "--realistic", "--strict", "--catalogue", str(path))

    ended = drawcli("sandbox", *words)
    told = drawcli("sandbox", *words, "--json").answer["data"]

    options, again = started
    assert (options.dialect, options.realistic, options.strict) == (1, True, True)
    assert [model.model_id for model in options.catalogue] == [CATALOGUE[0].model_id]
    assert again == options
    assert "as for DRAW client 1, realistic, strict" in ended.out
    assert (told["dialect"], told["strict"], told["models"]) == (1, True, 1)


@pytest.mark.parametrize("words", [("--dialect", "3"), ("--catalogue", "nowhere.json")])
def test_what_cannot_be_is_wrong_usage(
    drawcli: Run, started: list[SandboxOptions], words: tuple[str, ...]
) -> None:
    assert drawcli("sandbox", *words).code == 2
    assert started == []


def test_the_archive_is_shown_with_its_addresses(
    drawcli: Run, started: list[SandboxOptions]
) -> None:
    words = ("--pacs", "127.0.0.1:11113", "--pacs-node", "PULL@127.0.0.1:11114")

    ended = drawcli("sandbox", *words)
    told = drawcli("sandbox", *words, "--json").answer["data"]

    pacs = started[0].pacs
    assert pacs == PacsOptions(port=11113, nodes={"PULL": ("127.0.0.1", 11114)})
    assert "writing the phantoms" in ended.out
    assert "archive     SANDBOX@127.0.0.1:11113\n" in ended.out
    assert told["objects"] == 1
    assert told["dicomweb"] == "http://127.0.0.1:1/dicom-web"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--pacs", "11113"), "--pacs: 'SANDBOX@11113' should be AE_TITLE@host:port"),
        (("--pacs", "pacs.example:104"), "loopback only"),
        (("--pacs", "127.0.0.1:1", "--pacs-node", "A@10.1.2.3:104"), "loopback only"),
        (("--pacs-node", "A@127.0.0.1:104"), "--pacs-node needs --pacs"),
        (("--fault", "store:full"), "'store:full' needs --pacs"),
    ],
)
def test_a_wrong_archive_is_wrong_usage(
    drawcli: Run, started: list[SandboxOptions], words: tuple[str, ...], said: str
) -> None:
    ended = drawcli("sandbox", *words)

    assert ended.code == 2
    assert said in ended.err
    assert not started


def test_the_archive_says_which_package_it_needs(
    drawcli: Run, started: list[SandboxOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "drawcli.sandbox.pacs.dimse", raising=False)
    monkeypatch.setitem(sys.modules, "pynetdicom", None)

    ended = drawcli("sandbox", "--pacs", "127.0.0.1:11113")

    assert (ended.code, started) == (3, [])
    assert "the archive of the sandbox (--pacs) needs pynetdicom" in ended.err
    assert "dicom-net" in ended.err


def test_the_faults_of_the_archive_are_listed(drawcli: Run) -> None:
    ended = drawcli("sandbox", "--fault", "list")
    told = drawcli("sandbox", "--fault", "list", "--json").answer["data"]

    assert "fault of the archive" in ended.out
    assert "commit" in told["archive_operations"]
    assert told["archive_faults"]["lost"].startswith("the object is stored")
