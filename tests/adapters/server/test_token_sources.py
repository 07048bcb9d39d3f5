import contextlib
import importlib
import json
import shlex
import sys
import time
from datetime import timedelta
from pathlib import Path

import keyring
import keyring.backend
import keyring.errors
import pytest

from drawcli.adapters.server.token_file import TokenFile
from drawcli.adapters.server.token_sources import TokenCommand, TokenKeyring
from drawcli.core.protocol.tokens import Tokens
from drawcli.errors import ConfigError
from drawcli.pipeline.cluster.tokens import site_tokens
from drawcli.system.limits import EXCHANGES
from tests.conftest import NOON, Site
from tests.waiting import wait_until

SECRET = "canary-eyJhbGciOi"
PAIR = {"access_token": SECRET, "refresh_token": "canary-refresh"}


def printing(text: str, code: int = 0) -> list[str]:
    program = (
        f"import sys; sys.stdout.write({text!r}); sys.stderr.write('canary'); sys.exit({code})"
    )
    return [sys.executable, "-c", program]


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    return tmp_path / "token"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (json.dumps(PAIR), Tokens(SECRET, "canary-refresh")),
        (f"  {SECRET}\n", Tokens(SECRET)),
        (f"Bearer {SECRET}\n", Tokens(SECRET)),
    ],
)
def test_a_command_prints_the_pair_or_a_bare_token(beside: Path, text: str, tokens: Tokens) -> None:
    assert TokenCommand(printing(text), [], beside).read() == tokens


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (printing(SECRET, code=3), "exited with 3"),
        (printing(""), "its output is empty"),
        (printing(f"{SECRET} {SECRET}"), "not ASCII text without blanks"),
        (printing('{"access_token": '), "is not JSON"),
        (printing('{"token": "x"}'), "holds no access_token"),
        (["/nowhere/canary-vault", "read"], "cannot be started"),
        ([sys.executable, "-c", "import sys; sys.stdout.buffer.write(b'\\xff')"], "is not text"),
    ],
)
def test_a_command_without_token_is_reported_without_its_output(
    beside: Path, capfd: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        TokenCommand(words, [], beside).read()

    captured = capfd.readouterr()
    assert caught.value.hint
    everything = f"{caught.value} {caught.value.hint} {caught.value!r}{captured.out}{captured.err}"
    assert "canary" not in everything


def test_a_command_has_a_time_limit(beside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        EXCHANGES, "token-command", EXCHANGES["token-command"]._replace(seconds=0.2)
    )
    waiting = [sys.executable, "-c", "import time; time.sleep(60)"]
    begun = time.monotonic()

    with pytest.raises(ConfigError, match="did not end"):
        TokenCommand(waiting, [], beside).read()

    assert time.monotonic() - begun < 30


def test_a_new_pair_goes_to_the_second_command(beside: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(PAIR))
    read = [sys.executable, "-c", f"print(open({str(kept)!r}).read())"]
    write = [sys.executable, "-c", f"import sys; open({str(kept)!r}, 'w').write(sys.stdin.read())"]
    store = TokenCommand(read, write, beside)
    new = Tokens("access-2", "refresh-2", NOON)

    store.write(new)

    assert store.can_renew
    assert store.read() == new


def test_without_a_second_command_the_pair_is_not_renewed(beside: Path) -> None:
    store = TokenCommand(printing(json.dumps(PAIR)), [], beside)

    assert not store.can_renew
    assert "server.token_store_command" in store.no_other
    with pytest.raises(ConfigError, match="is not set to store new"):
        store.write(Tokens("access-2", "refresh-2"))


def test_a_pair_left_by_a_crash_is_stored_by_the_second_command(
    beside: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.json"
    write = [sys.executable, "-c", f"import sys; open({str(kept)!r}, 'w').write(sys.stdin.read())"]
    kept.write_text(json.dumps(PAIR))
    read = [sys.executable, "-c", f"print(open({str(kept)!r}).read())"]
    store = TokenCommand(read, write, beside)
    old, new = store.read(), Tokens("access-2", "refresh-2", NOON + timedelta(days=30))
    store.begin_exchange(old, NOON)
    store.pending.keep(new)

    again = TokenCommand(read, write, beside)
    assert again.read() == new
    again.recover()

    assert json.loads(kept.read_text())["access_token"] == "access-2"
    assert again.pending.begun(old) is None


class Ring(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # keyring has no types here
        self.entries: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise keyring.errors.KeyringLocked("canary")
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise keyring.errors.KeyringLocked("canary")
        self.entries[service, username] = password


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Ring:
    made = Ring()
    monkeypatch.setattr("keyring.get_password", made.get_password)
    monkeypatch.setattr("keyring.set_password", made.set_password)
    return made


def test_the_pair_is_stored_in_the_keyring(ring: Ring, beside: Path) -> None:
    store = TokenKeyring("draw", "ward-7", beside)
    pair = Tokens(SECRET, "r", NOON)

    with pytest.raises(ConfigError, match="there is no token") as caught:
        store.read()
    store.write(pair)

    assert caught.value.code == "no-token"
    assert store.read() == pair
    assert list(ring.entries) == [("draw", "ward-7")]


def test_a_locked_or_invalid_keyring_is_reported(ring: Ring, beside: Path) -> None:
    store = TokenKeyring("draw", "", beside)
    ring.entries["draw", "drawcli"] = f"{SECRET} {SECRET}"
    with pytest.raises(ConfigError, match="not ASCII text without blanks") as nonsense:
        store.read()
    ring.locked = True
    for act in (store.read, lambda: store.write(Tokens("a"))):
        with pytest.raises(ConfigError, match="is locked, refuses access") as caught:
            act()
        assert caught.value.code == "no-keyring"
        assert "canary" not in f"{caught.value} {nonsense.value}"


class Null(Ring):
    """A keyring as `keyring.backends.null`: it takes everything and keeps nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        pass


class Other(Ring):
    """A keyring that cuts what it is given, as some have a largest size."""

    def set_password(self, service: str, username: str, password: str) -> None:
        super().set_password(service, username, password.replace(SECRET, SECRET[:6]))


@pytest.mark.parametrize(("kind", "said"), [(Null, "holds nothing"), (Other, "another token")])
def test_a_keyring_that_keeps_nothing_is_an_error(
    beside: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Ring], said: str
) -> None:
    made = kind()
    monkeypatch.setattr("keyring.get_password", made.get_password)
    monkeypatch.setattr("keyring.set_password", made.set_password)
    store = TokenKeyring("draw", "ward-7", beside)

    for act in (
        lambda: store.write(Tokens(SECRET, "r", NOON)),
        lambda: store.begin_exchange(Tokens(SECRET, "r", NOON), NOON),
    ):
        with pytest.raises(ConfigError, match=said) as caught:
            act()  # type: ignore[no-untyped-call] # likewise
        assert caught.value.code == "token-not-stored"
        assert "server.token_file" in caught.value.hint
        assert SECRET not in f"{caught.value} {caught.value.hint}"
    assert not store.pending.path.exists()  # no exchange was begun


@pytest.mark.parametrize("backend", ["null", "fail"])
def test_the_null_keyrings_of_the_library_are_reported(beside: Path, backend: str) -> None:
    module = importlib.import_module(f"keyring.backends.{backend}")
    before = keyring.get_keyring()
    keyring.set_keyring(module.Keyring())
    try:
        with pytest.raises(ConfigError) as caught:
            TokenKeyring("draw", "", beside).write(Tokens("a"))
    finally:
        keyring.set_keyring(before)

    assert caught.value.code == {"null": "token-not-stored", "fail": "no-keyring"}[backend]


def test_a_new_pair_that_a_command_does_not_store_is_reported_and_kept(
    beside: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(PAIR))
    read = [sys.executable, "-c", f"print(open({str(kept)!r}).read())"]
    write = [sys.executable, "-c", f"import sys; open({str(kept)!r}, 'w').write(sys.stdin.read())"]
    store = TokenCommand(read, write, beside)
    old, new = store.read(), Tokens("access-2", "refresh-2", NOON + timedelta(days=30))
    store.begin_exchange(old, NOON)
    store.pending.keep(new)
    deaf = TokenCommand(read, [sys.executable, "-c", "import sys; sys.stdin.read()"], beside)

    with pytest.raises(ConfigError, match="holds another token") as caught:
        deaf.write(new)

    assert caught.value.code == "token-not-stored"
    assert deaf.read() == new  # out of the file of the exchange


# What a program starts and leaves behind: in its own group, in another group of its session, and
# holding its output open.
LEAVING = """
import os, subprocess, sys, time
again = [sys.executable, "-c", "import time; time.sleep(600)", {mark!r}]
subprocess.Popen(again, **{how})
{then}
"""
STARTED = ("{}", "{'process_group': 0}", "{'stderr': subprocess.DEVNULL}")


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="it looks into /proc")
@pytest.mark.parametrize(
    ("how", "then", "said"),
    [
        *((how, "print('token-1')", "") for how in STARTED),
        *((how, "time.sleep(600)", "did not end") for how in STARTED[1:]),
        (STARTED[0], "sys.exit(3)", "exited with 3"),
        (STARTED[0], "os.write(1, b'x' * (8 << 20)); time.sleep(600)", "printed more than"),
        (STARTED[0], "os.close(1); os.close(2); time.sleep(600)", "did not end"),
    ],
)
def test_a_command_leaves_no_process_behind_however_it_ends(
    beside: Path, monkeypatch: pytest.MonkeyPatch, how: str, then: str, said: str
) -> None:
    limit = EXCHANGES["token-command"]._replace(seconds=2 if said == "did not end" else 50)
    monkeypatch.setitem(EXCHANGES, "token-command", limit)
    mark = str(beside)
    program = LEAVING.format(mark=mark, how=how, then=then)
    begun = time.monotonic()

    try:
        found = TokenCommand([sys.executable, "-c", program], [], beside).read().access
    except ConfigError as err:
        found = str(err)

    assert time.monotonic() - begun < 60
    assert found == "token-1" if not said else said in found
    wait_until(lambda: not running_with(mark))


def running_with(mark: str) -> list[str]:
    """Return the processes whose last argument is a word; a dead one has none."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().rstrip(b"\0").endswith(mark.encode()):
                found.append(path.parent.name)
    return found


def test_without_the_package_the_extra_is_named(
    beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)

    with pytest.raises(ConfigError, match="not installed") as caught:
        TokenKeyring("draw", "", beside).read()

    assert "extra 'keyring'" in caught.value.hint


def test_the_settings_choose_the_source(site: Site) -> None:
    words = shlex.join(printing(SECRET))
    site.env = {"DRAWCLI_SERVER__TOKEN_COMMAND": words}
    by_command = site_tokens(site.settings())
    site.env = {"DRAWCLI_SERVER__TOKEN_KEYRING": "draw"}
    by_keyring = site_tokens(site.settings())
    site.env = {}

    assert by_command.read() == Tokens(SECRET)
    assert isinstance(by_keyring, TokenKeyring)
    assert by_keyring.place == "keyring entry draw, user ward-7"
    assert isinstance(site_tokens(site.settings()), TokenFile)


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"TOKEN_COMMAND": "a", "TOKEN_KEYRING": "b"}, "two sources"),
        ({"TOKEN_STORE_COMMAND": "a"}, "set both"),
        ({"TOKEN_COMMAND": "vault 'read"}, "quotation mark"),
        ({"CLIENT_KEY": "a.key"}, "client_cert"),
    ],
)
def test_settings_that_contradict_are_refused(site: Site, env: dict[str, str], said: str) -> None:
    site.env = {f"DRAWCLI_SERVER__{name}": value for name, value in env.items()}

    with pytest.raises(ConfigError, match=said):
        site.settings()
