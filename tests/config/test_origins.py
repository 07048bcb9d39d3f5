"""Where settings come from: the environment before the file, the file before the default."""

from pathlib import Path
from typing import Any

import pytest

from drawcli.config.origins import EffectiveSetting, Source, effective_settings

FILE = """
datastore: /dicom
state_dir: state
server: {url: 'https://a.example', endpoints: {health: /ping}}
scan: &usual
  min_slices: 5
notify:
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "drawcli.yaml"
    path.write_text(FILE)
    return path


def origin(config: Path, key: str, **env: str) -> tuple[Any, Source, str]:
    found: list[EffectiveSetting] = effective_settings(config, env)
    (one,) = (one for one in found if one.key == key)
    return one.value, one.source, one.place


@pytest.mark.parametrize(
    ("key", "env", "found"),
    [
        ("state_dir", {}, (None, Source.FILE, "{file}:3")),
        ("scan.min_slices", {}, (5, Source.FILE, "{file}:6")),
        ("scan.late", {}, ("flag", Source.DEFAULT, "")),
        ("notify.run_hours", {}, (6.0, Source.DEFAULT, "")),
        (
            "scan.min_slices",
            {"DRAWCLI_SCAN__MIN_SLICES": "7"},
            (7, Source.ENVIRONMENT, "DRAWCLI_SCAN__MIN_SLICES"),
        ),
        (
            "scan.late",
            {"drawcli_scan": '{"late": "resend"}'},
            ("resend", Source.ENVIRONMENT, "drawcli_scan"),
        ),
        (
            "scan.min_slices",
            {"DRAWCLI_SCAN": '{"late": "resend"}'},
            (5, Source.FILE, "{file}:6"),
        ),
        (
            "server.endpoints",
            {"DRAWCLI_SERVER__ENDPOINTS__MODELS": "/m", "DRAWCLI_CONFIG": "x"},
            (
                {"health": "/ping", "models": "/m"},
                Source.ENVIRONMENT,
                "DRAWCLI_SERVER__ENDPOINTS__MODELS",
            ),
        ),
    ],
)
def test_each_value_has_its_origin(
    config: Path, key: str, env: dict[str, str], found: tuple[Any, Source, str]
) -> None:
    value, source, place = found

    assert origin(config, key, **env) == (
        config.parent / "state" if value is None else value,
        source,
        place.format(file=config),
    )


def test_every_setting_is_listed_once(config: Path) -> None:
    keys = [one.key for one in effective_settings(config, {})]

    assert len(keys) == len(set(keys)) > 60
