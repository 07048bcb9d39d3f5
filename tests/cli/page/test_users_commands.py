"""users: added, changed and removed at a terminal or by a script, and every change recorded."""

import json

from drawcli.adapters.state.audit_log import Actor, AuditLog
from drawcli.adapters.state.page_users import FILE_NAME
from drawcli.dashboard.access.users import Users
from tests.cli.conftest import Ended, Run, piped
from tests.conftest import Site
from tests.dashboard.conftest import WORDS


def added(site: Site, name: str, *roles: str, words: str = WORDS) -> Ended:
    options = [word for role in roles for word in ("--role", role)]
    return piped(site, f"{words}\n", "users", "add", name, *options)


def test_a_user_is_added_changed_and_removed_and_each_change_is_in_the_audit_log(
    drawcli: Run, site: Site
) -> None:
    first = added(site, "Anna.B", "act", "patients")
    listed = drawcli("users", "list")
    plain = drawcli("users", "list", "--json").answer["data"]["users"]
    users = Users(site.state)

    assert (first.code, WORDS in first.out + first.err) == (0, False)
    assert "anna.b  view patients act" in listed.out
    assert plain == [{"name": "anna.b", "roles": ["view", "patients", "act"]}]
    assert users.verify("anna.b", WORDS)

    before = users.session_key("anna.b")
    assert drawcli("users", "role", "anna.b", "edit").code == 0
    assert users.session_key("anna.b") == before
    assert drawcli("users", "logout", "anna.b").code == 0
    assert users.session_key("anna.b") != before
    assert piped(site, "another horse, another battery\n", "users", "password", "anna.b").code == 0
    assert not users.verify("anna.b", WORDS)
    assert drawcli("users", "remove", "anna.b").code == 0
    assert "(none)" in drawcli("users", "list").out

    lines = [line.facts for line in AuditLog(site.state).lines()]
    assert [line["action"] for line in lines] == [
        *("add-user", "set-roles", "end-sessions", "set-password", "remove-user")
    ]
    assert {line["about"] for line in lines} == {"anna.b"}
    assert lines[0]["roles"] == "view patients act"
    assert {line["who"]["user"] for line in lines} == {Actor.present().user}
    assert WORDS not in json.dumps(lines)


def test_what_cannot_be_is_refused_and_nothing_is_written(drawcli: Run, site: Site) -> None:
    assert added(site, "a b").code == 2
    assert added(site, "anna", "king").code == 2
    assert added(site, "anna", words="short").code == 2
    assert not (site.state / FILE_NAME).exists()
    assert piped(site, "short\n", "dashboard", "--set-password").code == 2
    assert list(AuditLog(site.state).lines()) == []
    for words in (("remove", "otto"), ("role", "otto", "edit"), ("password", "otto")):
        refused = drawcli("users", *words)
        assert (refused.code, "no user 'otto'" in refused.err) == (2, True)

    assert added(site, "anna").code == 0
    again = added(site, "ANNA")
    assert (again.code, "already" in again.err) == (2, True)


def test_a_new_password_of_the_page_is_in_the_audit_log(drawcli: Run, site: Site) -> None:
    stored = drawcli("dashboard", "--make-token", "--json")

    (line,) = AuditLog(site.state).lines()
    assert line.facts["action"] == "page-password"
    assert stored.answer["data"]["token"] not in json.dumps(line.facts)


def test_with_a_user_the_page_may_be_opened_to_others(drawcli: Run, site: Site) -> None:
    before = drawcli("dashboard", "--allow-actions")
    added(site, "anna", "act")
    after = drawcli("dashboard", "--allow-actions", "--host", "127.0.0.2")

    assert "needs a password" in before.err
    assert "no password is set" not in after.err
    assert "unencrypted" in after.err
