"""Two browsers, an editor, git, a folder and a session that get in between: nothing is lost."""

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from drawcli.adapters.edited_files.saving import digest_of
from drawcli.adapters.state.audit_log import AuditLog
from drawcli.dashboard.access.users import Users
from drawcli.dashboard.editing.files import SeenTexts
from drawcli.errors import DiskFull
from drawcli.pipeline.context import Context
from drawcli.system.yaml_read import read_yaml
from tests.adapters.edited_files.conftest import git, hook
from tests.conftest import Site
from tests.dashboard.conftest import QUICK, WORDS, Serve, log_in, token_in
from tests.dashboard.editing.conftest import RULES
from tests.dashboard.forms import form_in, submitted

FORM = "/edit/rules/form"
PELVIS = {"w.1.v": "pelvis"}


@pytest.fixture
def kept(rules: Path) -> Path:
    """Put the rules of the site under git; return the file."""
    folder = rules.parent
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "rules.yaml", "templates.yaml")
    git(folder, "commit", "--quiet", "--message=first")
    return rules


def previewed(client: TestClient, **changed: str) -> str:
    """Change the first rule up to the diff; return the page."""
    page = submitted(client, client.get("/edit/rules/1").text, FORM, "preview", **changed)
    assert page.status_code == 200
    return str(page.text)


def test_of_two_browsers_the_second_sees_the_conflict_and_can_continue(
    editor: TestClient, rules: Path
) -> None:
    mine = previewed(editor, **PELVIS)
    other = submitted(editor, previewed(editor, priority="7"), FORM, "save")
    assert other.status_code == 303

    conflict = submitted(editor, mine, FORM, "save")

    assert conflict.status_code == 409
    assert "Somebody else saved this file" in conflict.text
    assert "+    priority: 7" in conflict.text
    assert "ProtocolName: {contains: pelvis}" in conflict.text
    assert "contains: pelvis" not in rules.read_text(encoding="utf-8")

    shown = submitted(editor, conflict.text, FORM, "preview")
    assert submitted(editor, shown.text, FORM, "save").status_code == 303
    rule = read_yaml(rules).data["rules"][0]
    assert rule["priority"] == 7
    assert rule["when"]["all"][1] == {"ProtocolName": {"contains": "pelvis"}}


def test_a_file_changed_in_an_editor_is_not_overwritten(editor: TestClient, rules: Path) -> None:
    mine = previewed(editor, **PELVIS)
    edited = RULES.replace("# Rules of this site.", "# Rules of our site.")
    rules.write_text(edited, encoding="utf-8")

    conflict = submitted(editor, mine, FORM, "save")

    assert conflict.status_code == 409
    assert "+# Rules of our site." in conflict.text
    assert rules.read_text(encoding="utf-8") == edited


def test_an_editor_that_leaves_the_file_broken(editor: TestClient, rules: Path) -> None:
    mine = previewed(editor, **PELVIS)
    rules.write_text("rules: [\n", encoding="utf-8")

    conflict = submitted(editor, mine, FORM, "save")
    again = submitted(editor, conflict.text, FORM, "preview")

    assert conflict.status_code == 409
    assert again.status_code in (422, 503)
    assert rules.read_text(encoding="utf-8") == "rules: [\n"


def test_a_rule_that_went_elsewhere_is_found_by_its_name(editor: TestClient, rules: Path) -> None:
    mine = previewed(editor, **PELVIS)
    head, _, tests = RULES.partition("tests:")
    first = "  - name: never\n    exclude: true\n    when: {Modality: OT}\n"
    rules.write_text(
        head.replace("rules:\n", f"rules:\n{first}") + "tests:" + tests, encoding="utf-8"
    )

    conflict = submitted(editor, mine, FORM, "save")
    shown = submitted(editor, conflict.text, FORM, "preview")
    assert submitted(editor, shown.text, FORM, "save").status_code == 303

    names = {rule["name"]: rule for rule in read_yaml(rules).data["rules"]}
    assert names["pelvis"]["when"]["all"][1] == {"ProtocolName": {"contains": "pelvis"}}
    assert names["never"]["exclude"] is True


def test_a_restart_in_between_is_still_a_conflict(
    serve: Serve, editor: TestClient, rules: Path
) -> None:
    mine = form_in(previewed(editor, **PELVIS), FORM)
    rules.write_text(f"{RULES}# end\n", encoding="utf-8")
    later = serve(password=WORDS, allow_editing=True)
    log_in(later)
    token = token_in(later.get("/rules").text)

    conflict = later.post(FORM, data=mine | {"csrf": token, "step": "save"})

    assert conflict.status_code == 409
    assert "this page was restarted since" in conflict.text
    assert form_in(conflict.text, FORM)["w.1.v"] == "pelvis"


def test_the_save_is_a_commit_and_in_the_log(
    editor: TestClient, kept: Path, ctx: Context, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        saved = submitted(editor, previewed(editor, **PELVIS), FORM, "save")

    commit = git(kept.parent, "rev-parse", "--short=12", "HEAD")
    assert saved.headers["location"] == f"/rules?saved={commit}"
    assert git(kept.parent, "log", "-1", "--format=%s") == "Change rule pelvis"
    (line,) = [one for one in caplog.messages if one.startswith("edit=saved")]
    assert "file=rules.yaml before=" in line
    assert line.endswith(f"commit={commit}")
    assert ctx.audit.verify().breaks == []
    (action,) = actions(ctx)
    assert (action["action"], action["source"], action["file"]) == ("edit", "page", "rules.yaml")
    assert action["digest_after"] == digest_of(kept.read_bytes())


def actions(ctx: Context) -> list[Mapping[str, Any]]:
    """Return what users did, by the audit log."""
    return [facts for line in ctx.audit.lines() if (facts := line.facts)["what"] == "action"]


def test_what_cannot_be_recorded_is_not_saved(
    editor: TestClient, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: object) -> None:
        raise DiskFull("no space left")

    monkeypatch.setattr(AuditLog, "add", full)

    refused = submitted(editor, previewed(editor, **PELVIS), FORM, "save")

    assert refused.status_code == 422
    assert rules.read_text(encoding="utf-8") == RULES


def test_a_hook_that_refuses_loses_nothing(
    editor: TestClient, kept: Path, ctx: Context, caplog: pytest.LogCaptureFixture
) -> None:
    hook(kept.parent, "echo 'ask the physicist first' >&2", "exit 1")

    refused = submitted(editor, previewed(editor, **PELVIS), FORM, "save")

    assert refused.status_code == 422
    assert "ask the physicist first" in refused.text
    assert form_in(refused.text, FORM)["w.1.v"] == "pelvis"
    assert kept.read_text(encoding="utf-8") == RULES
    assert any(one.startswith("edit=refused") for one in caplog.messages)
    assert [one["action"] for one in actions(ctx)] == ["edit", "edit-refused"]


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="modes do not stop this user"
)
def test_a_folder_that_is_read_only(editor: TestClient, rules: Path) -> None:
    mine = previewed(editor, **PELVIS)
    rules.parent.chmod(0o555)
    try:
        refused = submitted(editor, mine, FORM, "save")
    finally:
        rules.parent.chmod(0o755)

    assert refused.status_code == 422
    assert "may not write the folder" in refused.text
    assert form_in(refused.text, FORM)["w.1.v"] == "pelvis"


def test_a_session_that_ends_in_between_keeps_what_was_typed(
    editor: TestClient, rules: Path
) -> None:
    mine = form_in(previewed(editor, **PELVIS), FORM)
    editor.cookies.clear()

    asked = editor.post(FORM, data=mine | {"step": "save"})
    assert asked.status_code == 401
    assert "What you typed is kept" in asked.text
    wrong = editor.post("/edit/login", data=form_in(asked.text, "/edit/login") | {"password": "no"})
    assert wrong.status_code == 401
    form = form_in(wrong.text, "/edit/login") | {"password": WORDS}
    logged_in = editor.post("/edit/login", data=form)
    assert rules.read_text(encoding="utf-8") == RULES

    page = submitted(editor, logged_in.text, FORM, "edit")
    assert form_in(page.text, FORM)["w.1.v"] == "pelvis"
    shown = submitted(editor, page.text, FORM, "preview")
    assert submitted(editor, shown.text, FORM, "save").status_code == 303
    assert "contains: pelvis" in rules.read_text(encoding="utf-8")


def test_several_templates_are_kept_through_the_diff_and_a_login(
    editor: TestClient, rules: Path
) -> None:
    two = ["HeadNeck_OAR", "Prostate_OAR"]
    page = submitted(editor, editor.get("/edit/rules/1").text, FORM, "preview", template=two).text
    mine = form_in(page, FORM)
    assert mine["template"] == two
    editor.cookies.clear()
    asked = editor.post(FORM, data=mine | {"step": "save"}).text
    form = form_in(asked, "/edit/login") | {"password": WORDS}
    page = submitted(editor, editor.post("/edit/login", data=form).text, FORM, "edit").text
    page = submitted(editor, page, FORM, "preview").text

    assert submitted(editor, page, FORM, "save").status_code == 303
    assert read_yaml(rules).data["rules"][0]["templates"] == two


def test_the_commit_has_the_name_of_the_user(serve: Serve, kept: Path, site: Site) -> None:
    Users(site.state, QUICK).add("anna", frozenset({"view", "edit"}), WORDS)
    client = serve(allow_editing=True)
    form = {"csrf": token_in(client.get("/login").text), "user": "anna", "password": WORDS}
    assert client.post("/login", data=form).status_code == 303

    shown = previewed(client, **PELVIS)
    assert "one commit in the name of anna" in shown
    assert submitted(client, shown, FORM, "save").status_code == 303

    assert git(kept.parent, "log", "-1", "--format=%an") == "anna"


def test_a_form_of_an_earlier_login_keeps_what_was_typed(editor: TestClient, rules: Path) -> None:
    mine = form_in(previewed(editor, **PELVIS), FORM)
    editor.cookies.clear()
    log_in(editor)

    stale = editor.post(FORM, data=mine | {"step": "save"})

    assert stale.status_code == 403
    assert rules.read_text(encoding="utf-8") == RULES
    page = submitted(editor, stale.text, FORM, "edit")
    assert form_in(page.text, FORM)["w.1.v"] == "pelvis"


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "[]",
        '{"path": "/logout", "fields": []}',
        '{"path": "//evil.example/edit/rules", "fields": []}',
        '{"path": "/edit/rules/form", "fields": 3}',
        "[" * 5000,
    ],
)
def test_a_kept_form_of_somebody_else_is_refused(editor: TestClient, kept: str) -> None:
    editor.cookies.clear()
    token = token_in(editor.get("/login").text)

    answer = editor.post("/edit/login", data={"csrf": token, "password": WORDS, "kept": kept})

    assert answer.status_code == 400
    assert "evil" not in answer.text


def test_what_was_shown_is_what_is_saved(editor: TestClient, rules: Path) -> None:
    page = previewed(editor, **PELVIS)

    other = submitted(editor, page, FORM, "save", **{"w.1.v": "anything"})

    assert other.status_code == 200  # the diff again, of what would be saved
    assert "contains: anything" in other.text
    assert rules.read_text(encoding="utf-8") == RULES


def test_texts_that_were_seen_are_bounded() -> None:
    seen = SeenTexts(most_bytes=100)
    digests = [seen.remember(bytes([number]) * 40) for number in range(5)]

    assert [seen.get(digest) is not None for digest in digests] == [False] * 3 + [True] * 2
