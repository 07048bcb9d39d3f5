"""config show and check: what is in force, from where, and never a secret."""

import json

from tests.cli.conftest import Run
from tests.conftest import Site

SECRETS = {
    "DRAWCLI_SERVER__TOKEN_COMMAND": "vault read s3cret",
    "DRAWCLI_SERVER__TOKEN_STORE_COMMAND": "vault write s3cret",
    "DRAWCLI_METRICS__HEARTBEAT_URL": "https://hc.example/s3cret",
    "DRAWCLI_NOTIFY_URLS": "mailto://s3cret@example",
}


def test_settings_are_shown_with_their_origin_at_80_columns(drawcli: Run, site: Site) -> None:
    env = {"DRAWCLI_SCAN__QUIET_MINUTES": "3", "COLUMNS": "80"}

    whole, changed = drawcli("config", "show", **env), drawcli("config", "show", "--changed", **env)
    plain = drawcli("config", "show", "--json", **env).answer["data"]

    assert whole.out.splitlines()[0] == f"{site.config}  (in this folder)"
    assert max(map(len, whole.out.splitlines()[1:])) <= 80
    lines = [line.split() for line in changed.out.splitlines()]
    assert ["quiet_minutes", "3", "DRAWCLI_SCAN__QUIET_MINUTES"] in lines
    assert ["client_id", "ward-7", "line", "5"] in lines
    assert "incomplete_hours" in whole.out
    assert "incomplete_hours" not in changed.out
    by_key = {one["key"]: one for one in plain["settings"]}
    assert by_key["server.client_id"] == {
        "key": "server.client_id",
        "value": "ward-7",
        "is_secret": False,
        "source": "file",
        "place": f"{site.config}:5",
    }
    assert by_key["scan.modalities"]["value"] == ["CT", "MR", "PT"]


def test_no_secret_is_shown(drawcli: Run) -> None:
    shown = drawcli("config", "show", **SECRETS)
    plain = drawcli("config", "show", "--json", **SECRETS)

    assert (shown.code, plain.code) == (0, 0)
    assert shown.out.count("not shown") == 3
    assert "s3cret" not in shown.out + plain.out + shown.err
    hidden = [one["key"] for one in plain.answer["data"]["settings"] if one["is_secret"]]
    assert hidden == [
        "server.token_command",
        "server.token_store_command",
        "metrics.heartbeat_url",
    ]


def test_check_reports_every_error_and_needs_no_site_key(drawcli: Run, site: Site) -> None:
    (site.state / "site.key").unlink()
    well = drawcli("config", "check")
    site.add_line("scn: {}")
    broken = drawcli("config", "check", "--json", DRAWCLI_SERVER__PARALLEL="many")

    assert (well.code, "no errors" in well.out) == (0, True)
    assert broken.code == 3
    text = json.dumps(broken.answer["errors"])
    assert f"{site.config}:6:1: unknown key 'scn'; did you mean 'scan'?" in text
    assert "environment DRAWCLI_SERVER__PARALLEL" in text
