"""token set, status, refresh, as a physicist uses them."""

import base64
import json
import os
import select
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drawcli.adapters.state.audit_log import AuditLog
from drawcli.sandbox.server import running
from tests.cli.conftest import Run, at_sandbox, piped
from tests.conftest import Site

SECRET, REFRESH = "canary-access", "canary-refresh"


def jwt(**claims: object) -> str:
    parts = ({"alg": "HS256"}, claims)
    texts = [base64.urlsafe_b64encode(json.dumps(one).encode()).decode() for one in parts]
    return ".".join([*(text.rstrip("=") for text in texts), "canary-signature"])


def pair_in(site: Site) -> dict[str, str]:
    plain: dict[str, str] = json.loads((site.folder / "token.json").read_text())
    return plain


def typing(site: Site, answers: dict[bytes, str]) -> str:
    """Run `token set` at a pseudo-terminal; type each answer once its question is there."""
    import pty

    leader, follower = pty.openpty()
    env = {"PATH": os.environ["PATH"], "HOME": str(site.folder), "COLUMNS": "200"}
    words = [sys.executable, "-m", "drawcli", "token", "set", "--force"]
    process = subprocess.Popen(
        words,
        cwd=site.folder,
        env=env,
        start_new_session=True,
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    said, waiting = b"", dict(answers)
    while select.select([leader], [], [], 60)[0]:
        try:
            said += os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        for question in [one for one in waiting if one in said]:
            os.write(leader, waiting.pop(question).encode() + b"\n")
    os.close(leader)  # hangs up, should it still wait
    assert process.wait(timeout=60) == 0
    return said.decode("utf-8")


def test_a_pair_is_set_from_a_file_for_its_owner_alone(drawcli: Run, site: Site) -> None:
    given = site.folder / "from-the-admin.json"
    given.write_text(json.dumps({"access_token": SECRET, "refresh_token": REFRESH}))
    token = site.folder / "token.json"
    token.chmod(0o644)

    planned = drawcli("token", "set", str(given), "--dry-run")
    before = pair_in(site)["access_token"]
    ended = drawcli("token", "set", str(given), "--force", "--json")

    assert (planned.code, ended.code) == (0, 0)
    assert "would be stored in" in planned.out
    assert before == "access-1"
    assert pair_in(site) == {"access_token": SECRET, "refresh_token": REFRESH, "expires_at": None}
    assert token.stat().st_mode & 0o777 == 0o600
    assert ended.answer["data"]["refresh"] is True
    assert "canary" not in planned.out + planned.err + ended.out + ended.err
    (line,) = AuditLog(site.state).lines()
    assert line.facts["action"] == "token-set"
    assert "canary" not in json.dumps(line.facts)


@pytest.mark.parametrize("words", [("token", "set"), ("token", "set", "-")])
def test_what_a_server_answered_can_be_piped_in(site: Site, words: tuple[str, ...]) -> None:
    answer = {"access_token": SECRET, "refresh_token": REFRESH, "expires_in": 3600}

    ended = piped(site, json.dumps(answer), *words, "--force")

    assert ended.code == 0, ended.err
    left = datetime.fromisoformat(pair_in(site)["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=50) < left <= timedelta(hours=1)


def test_a_bare_token_says_itself_when_it_ends(site: Site) -> None:
    ended = piped(site, jwt(exp=1900000000, sub="ward-7") + "\n", "token", "set", "-", "--force")

    assert ended.code == 0
    assert pair_in(site)["expires_at"] == "2030-03-17T17:46:40+00:00"
    assert "no: it is used to its end" in ended.out


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_at_a_terminal_tokens_are_typed_unseen(site: Site) -> None:
    said = typing(site, {b"in one line: ": SECRET, b"or Enter: ": REFRESH})

    assert pair_in(site)["access_token"] == SECRET
    assert pair_in(site)["refresh_token"] == REFRESH
    assert "stored in" in said
    assert "canary" not in said


@pytest.mark.parametrize("text", ["", "\n", "two words", "{", '{"token": "canary"}', "é"])
def test_what_is_no_token_is_refused_and_changes_nothing(site: Site, text: str) -> None:
    before = pair_in(site)

    ended = piped(site, text, "token", "set", "-", "--force")

    assert ended.code == 2
    assert "standard input" in ended.err
    assert "canary" not in ended.out + ended.err
    assert pair_in(site) == before


def test_a_file_that_is_not_there_is_named(drawcli: Run) -> None:
    ended = drawcli("token", "set", "nowhere.json")

    assert ended.code == 2
    assert "nowhere.json: cannot be read" in ended.err


def test_the_status_tells_whose_and_until_when_and_not_the_tokens(drawcli: Run, site: Site) -> None:
    soon = datetime.now(UTC) + timedelta(days=3, minutes=5)
    token = jwt(sub="ward-7", iss="draw", exp=soon.timestamp(), jti="canary", name="canary")
    piped(
        site,
        json.dumps({"access_token": token, "refresh_token": REFRESH}),
        "token",
        "set",
        "-",
        "--force",
    )

    said, plain = drawcli("token", "status"), drawcli("token", "status", "--json")

    assert said.code == 0
    assert plain.answer["data"] | {"expires_at": None} == {
        "source": f"token file {site.folder / 'token.json'}",
        "expires_at": None,
        "expired": False,
        "refresh": True,
        "claims": {"sub": "ward-7", "iss": "draw"},
        "unanswered": None,
    }
    for word in ("ward-7", "(in 3 d)", f"{soon:%Y-%m-%d}", "token.json"):
        assert word in said.out
    assert "canary" not in said.out + plain.out
    assert token[:20] not in said.out + plain.out


def test_the_exit_code_of_the_status_says_whether_a_run_would_get_in(
    drawcli: Run, site: Site
) -> None:
    past = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    old = {"access_token": SECRET, "expires_at": past}
    token = site.folder / "token.json"

    token.write_text(json.dumps(old | {"refresh_token": REFRESH}))
    renewable = drawcli("token", "status")
    token.write_text(json.dumps(old))
    over = drawcli("token", "status", "--json")
    token.chmod(0o644)
    exposed = drawcli("token", "status")
    token.unlink()
    missing = drawcli("token", "status")

    assert [one.code for one in (renewable, over, exposed, missing)] == [0, 5, 3, 3]
    assert "(2 h ago)" in renewable.out
    assert over.answer["errors"][0]["code"] == "token-refused"
    assert over.answer["data"]["expired"] is True
    assert "chmod 600" in exposed.err
    assert "drawcli token set" in missing.err


def test_a_pair_replaces_the_old_one_only_if_the_server_accepts_it(
    drawcli: Run, site: Site, tmp_path: Path
) -> None:
    bad, good, away = site.folder / "bad.json", site.folder / "good.json", {}
    bad.write_text(json.dumps({"access_token": SECRET, "refresh_token": REFRESH}))
    with running(tmp_path / "sandbox") as server:
        at_sandbox(site, server.url, server.token_file)
        before = pair_in(site)
        good.write_bytes(server.token_file.read_bytes())
        refused = drawcli("token", "set", str(bad))
        wrong_place = {"DRAWCLI_SERVER__URL": f"{server.url}/elsewhere"}
        no_draw = drawcli("token", "set", str(good), **wrong_place)
        planned, after_all = drawcli("token", "set", str(bad), "-n"), pair_in(site)
        server.sandbox.accounts.expire()
        renewed = drawcli("token", "set", str(good), "--json")
        known = server.sandbox.accounts.client_of(pair_in(site)["access_token"])
        away["before"] = pair_in(site)
    down = drawcli("token", "set", str(bad))
    away["after"] = pair_in(site)
    forced = drawcli("token", "set", str(bad), "--force")

    assert [refused.code, no_draw.code, planned.code] == [5, 3, 0]
    assert "the server refuses the new token; the old one stays" in refused.err
    assert "the old one stays: the server answers 404" in no_draw.err
    assert after_all == before
    assert (renewed.code, renewed.answer["data"]["accepted_by_server"]) == (0, True)
    assert known == "sandbox"
    assert (down.code, "--force" in down.err, away["after"]) == (7, True, away["before"])
    assert (forced.code, pair_in(site)["access_token"]) == (0, SECRET)
    assert not list(site.folder.glob("token.json.new*"))
    assert "canary" not in refused.err + down.err + forced.out


def test_a_first_pair_is_stored_also_if_the_server_is_away(drawcli: Run, site: Site) -> None:
    given = site.folder / "given.json"
    (site.folder / "token.json").rename(given)

    ended = drawcli("token", "set", str(given))

    assert (ended.code, pair_in(site)["access_token"]) == (0, "access-1")
    assert "not asked" in ended.out


def test_a_refresh_exchanges_the_pair(drawcli: Run, site: Site, tmp_path: Path) -> None:
    with running(tmp_path / "sandbox") as server:
        at_sandbox(site, server.url, server.token_file)
        before = pair_in(site)
        planned = drawcli("token", "refresh", "-n")
        untouched = pair_in(site)
        ended = drawcli("token", "refresh")
        known = server.sandbox.accounts.client_of(pair_in(site)["access_token"])

    assert (planned.code, ended.code) == (0, 0)
    assert untouched == before
    assert "renewed in" in ended.out
    assert "in 29 d" in ended.out
    assert known == "sandbox"
    assert pair_in(site)["refresh_token"] != before["refresh_token"]
    assert "sandbox-" not in ended.out + ended.err


def test_a_refresh_that_cannot_be_says_why(drawcli: Run, site: Site, tmp_path: Path) -> None:
    down = drawcli("token", "refresh")
    with running(tmp_path / "sandbox") as server:
        at_sandbox(site, server.url, server.token_file)
        server.sandbox.accounts.close_all()
        refused = drawcli("token", "refresh")
    piped(site, SECRET, "token", "set", "-", "--force")
    alone = [drawcli("token", "refresh", *more) for more in ((), ("-n",))]

    assert [down.code, refused.code, *(one.code for one in alone)] == [7, 5, 5, 5]
    assert "administrator" in refused.err
    assert all("cannot be renewed" in one.err for one in alone)


def test_tokens_of_a_command_that_cannot_be_stored_are_used_and_never_exchanged(
    drawcli: Run, site: Site, tmp_path: Path
) -> None:
    with running(tmp_path / "sandbox") as server:
        at_sandbox(site, server.url, server.token_file)
        kept = site.folder / "token.json"
        env = {"DRAWCLI_SERVER__TOKEN_COMMAND": f"cat '{kept}'"}
        used = drawcli("templates", "pull", **env)
        refused = drawcli("token", "refresh", **env)
        server.sandbox.accounts.expire()
        late = drawcli("templates", "pull", **env)
        refreshes = server.requests["refresh"]

    assert [used.code, refused.code, late.code] == [0, 5, 5]
    assert refreshes == 0
    for ended in (refused, late):
        assert "server.token_store_command" in ended.err
