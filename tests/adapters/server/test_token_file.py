import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drawcli.adapters.server import token_store as module
from drawcli.adapters.server.token_file import TokenFile
from drawcli.core.protocol.tokens import Tokens
from drawcli.errors import ConfigError, TryLater

SECRET = "eyJhbGciOi.JIUzI1NiIs.InR5cCI6"
JANUARY = datetime(2027, 1, 31, 8, 0, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "token.json"


def written(path: Path, content: bytes | Mapping[str, object], mode: int = 0o600) -> TokenFile:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    path.write_bytes(raw)
    path.chmod(mode)
    return TokenFile(path)


def test_a_pair_is_read_with_its_expiry(path: Path) -> None:
    pair = {"access_token": SECRET, "refresh_token": "r", "expires_at": "2027-01-31T08:00:00Z"}

    read = written(path, pair).read()

    assert (read.access, read.refresh, read.expires_at) == (SECRET, "r", JANUARY)


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"refresh_token": None, "expires_at": None},
        {"refresh_token": "", "expires_at": "soon"},
        {"expires_at": 17, "note": "of the ward"},
    ],
)
def test_an_access_token_alone_is_enough(path: Path, extra: dict[str, object]) -> None:
    read = written(path, {"access_token": f" {SECRET}\n", **extra}).read()

    assert (read.access, read.refresh, read.expires_at) == (SECRET, "", None)


def test_a_byte_order_mark_is_accepted(path: Path) -> None:
    assert written(path, b'\xef\xbb\xbf{"access_token": "a"}').read().access == "a"


def test_a_written_pair_can_be_read_by_its_owner_only(path: Path) -> None:
    file = TokenFile(path)
    pair = Tokens("access-2", "refresh-2", JANUARY)

    file.write(pair)

    assert file.read() == pair
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_missing_token_file_is_reported_with_a_hint(path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no token") as caught:
        TokenFile(path).read()

    assert caught.value.code == "no-token"
    assert "drawcli token set" in caught.value.hint


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o666])
def test_a_file_that_others_can_read_is_refused(path: Path, mode: int) -> None:
    file = written(path, {"access_token": SECRET}, mode)

    with pytest.raises(ConfigError, match="others can read it") as caught:
        file.read()

    assert caught.value.hint == f"Run 'chmod 600 {path}'."


@pytest.mark.parametrize(
    "content",
    [
        b"",
        SECRET.encode(),
        b'{"access_token": "' + SECRET.encode(),
        json.dumps([SECRET]).encode(),
        json.dumps(SECRET).encode(),
        b"null",
        b"[" * 50_000,
        b"\xff\xfe" + SECRET.encode(),
        {"refresh_token": SECRET},
        {"access_token": None, "refresh_token": SECRET},
        {"access_token": "", "refresh_token": SECRET},
        {"access_token": 17, "refresh_token": SECRET},
        {"access_token": [SECRET]},
        {"access_token": f"Bearer {SECRET}"},
        {"access_token": f"{SECRET}\r\nX-Evil: 1"},
        {"access_token": f"{SECRET}é"},
        {"access_token": SECRET, "refresh_token": f"two {SECRET}"},
        {"access_token": SECRET, "refresh_token": [SECRET]},
    ],
)
def test_a_damaged_file_is_refused_with_its_form_and_without_its_content(
    path: Path, content: bytes | dict[str, object]
) -> None:
    file = written(path, content)

    with pytest.raises(ConfigError) as caught:
        file.read()

    said = f"{caught.value} {caught.value.hint} {caught.value!r}"
    assert str(path) in said
    assert '"access_token"' in caught.value.hint
    assert SECRET not in said


def test_a_write_that_fails_leaves_the_old_pair_and_says_what_to_do(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(path, {"access_token": "old"})

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        with pytest.raises(ConfigError, match="cannot be written: Permission denied"):
            file.write(Tokens(SECRET))

    assert file.read().access == "old"


def test_one_process_refreshes_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from drawcli.adapters.server.token_file import TokenFile\n"
        "with TokenFile(Path(sys.argv[1])).locked(): print('held', flush=True); time.sleep(600)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    monkeypatch.setattr(module, "_LOCK_SECONDS", 0.2)

    with pytest.raises(TryLater, match="another process is refreshing"), TokenFile(path).locked():
        pass

    holder.kill()
    holder.communicate(timeout=60)
    with TokenFile(path).locked():
        assert stat.S_IMODE(Path(f"{path}.lock").stat().st_mode) == 0o600


def test_an_error_under_the_lock_is_not_reported_as_a_busy_lock(path: Path) -> None:
    with pytest.raises(OSError, match="of the block"), TokenFile(path).locked():
        raise OSError(errno.EIO, "of the block")
    with TokenFile(path).locked():
        pass


def test_repr_does_not_show_the_tokens(path: Path) -> None:
    read = written(path, {"access_token": SECRET, "refresh_token": SECRET}).read()

    assert SECRET not in f"{read} {read!r}"
