import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drawcli.sandbox import server
from drawcli.sandbox.catalogue import CATALOGUE, as_json
from drawcli.sandbox.options import SandboxOptions
from tests.cli.conftest import Run


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[SandboxOptions]:
    """Return the options of the sandboxes that a command started; none of them listens."""
    options: list[SandboxOptions] = []

    def serve(folder: Path, **given: Any) -> None:
        options.append(given["options"])
        sandbox = SimpleNamespace(options=given["options"])
        url, token_file = "http://127.0.0.1:1", folder / "token.json"
        given["ready"](SimpleNamespace(url=url, token_file=token_file, sandbox=sandbox))

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
