"""Messages by apprise, to a webhook on loopback; addresses that nobody gets to see."""

import sys
from pathlib import Path

import pytest

from drawcli.adapters.notifications import Message, Recipient, Weight, recipients_of
from drawcli.config.sections_monitoring import URLS_VARIABLE, Notify
from drawcli.errors import ConfigError
from tests.webhook import listening

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # apprise asks for it
SECRET = "s3cret-canary"


def written(tmp_path: Path, text: str) -> Notify:
    path = tmp_path / "notify.urls"
    path.write_text(text)
    path.chmod(0o600)
    return Notify(urls_file=path)


def test_a_message_arrives() -> None:
    with listening() as hook:
        place = Recipient(1, f"json://127.0.0.1:{hook.port}/hook/{SECRET}")

        taken = place.send(Message("drawcli: 1 held", "job a\njob b", Weight.WARNING))

    assert taken
    ((message),) = hook.messages
    assert (message["title"], message["message"]) == ("drawcli: 1 held", "job a\njob b")
    assert message["type"] == "warning"
    assert hook.asked == [f"POST /hook/{SECRET}"]


def test_a_message_that_is_not_taken() -> None:
    with listening() as hook:
        hook.status = 503
        place = Recipient(1, f"json://127.0.0.1:{hook.port}/")

        assert not place.send(Message("title", "body"))


def test_nobody_there_is_no_error() -> None:
    assert not Recipient(1, "json://127.0.0.1:9/").send(Message("title", "body"))


@pytest.mark.parametrize("url", [f"nonsense-{SECRET}", f"foo://{SECRET}", "mailtos://"])
def test_an_address_that_apprise_does_not_know_is_told_by_its_number(url: str) -> None:
    with pytest.raises(ConfigError, match="recipient 3 of notify") as caught:
        _ = Recipient(3, url).name

    assert SECRET not in f"{caught.value} {caught.value.hint}"


def test_a_place_is_called_by_number_and_service_and_shows_nothing_of_its_address() -> None:
    place = Recipient(2, f"ntfys://user:{SECRET}@ntfy.example/{SECRET}")

    assert place.name == "recipient 2 (ntfy)"
    assert SECRET not in f"{place!r} {place} {place.key('salt')}"
    assert place.key("salt") != place.key("pepper")


def test_addresses_come_from_a_file_and_from_the_environment(tmp_path: Path) -> None:
    settings = written(tmp_path, "# ours\n\n  ntfy://a  \nntfy://b\nntfy://a\n")

    places = recipients_of(settings, {URLS_VARIABLE: "json://c ntfy://b"})

    assert [(one.number, one.url) for one in places] == [
        (1, "json://c"),
        (2, "ntfy://b"),
        (3, "ntfy://a"),
    ]
    assert recipients_of(Notify(), {}) == []


@pytest.mark.skipif(sys.platform == "win32", reason="there, files have no mode")
def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = written(tmp_path, SECRET)
    path = tmp_path / "notify.urls"
    path.chmod(0o644)

    with pytest.raises(ConfigError, match="others can read it") as caught:
        recipients_of(settings, {})

    assert caught.value.hint == f"Run 'chmod 600 {path}'."
    assert SECRET not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        recipients_of(Notify(urls_file=tmp_path / "none"), {})


def test_without_apprise_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)

    with pytest.raises(ConfigError, match="not installed") as caught:
        Recipient(1, "ntfy://a").send(Message("title", "body"))

    assert "extra 'notify'" in caught.value.hint
