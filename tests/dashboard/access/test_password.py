"""The password: never on disk, and read by its owner alone."""

import sys
from pathlib import Path

import pytest

from drawcli.dashboard.access.password import SHORTEST, Secret
from drawcli.errors import ConfigError, UsageError
from tests.dashboard.conftest import QUICK, WORDS


def test_only_the_hash_is_kept_and_it_fits_its_password_alone(tmp_path: Path) -> None:
    secret = Secret(tmp_path / "state", QUICK)
    secret.store(WORDS)

    text = secret.path.read_text()

    assert text.startswith("$argon2id$")
    assert WORDS not in text
    assert secret.verify(WORDS)
    assert not any(map(secret.verify, ("", WORDS[:-1], WORDS + "x", WORDS.upper())))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_file_is_private_and_not_trusted_where_it_is_not(tmp_path: Path) -> None:
    secret = Secret(tmp_path / "state", QUICK)
    secret.store(WORDS)
    mode = secret.path.stat().st_mode & 0o777
    secret.path.chmod(0o644)

    assert mode == 0o600
    with pytest.raises(ConfigError, match="readable by others"):
        secret.check()


def test_a_short_password_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    secret = Secret(tmp_path / "state", QUICK)
    secret.store(WORDS)

    with pytest.raises(UsageError, match="too short"):
        secret.store("x" * (SHORTEST - 1))
    assert secret.verify(WORDS)


def test_a_damaged_file_lets_nobody_in(tmp_path: Path) -> None:
    secret = Secret(tmp_path / "state", QUICK)
    secret.store(WORDS)
    secret.path.write_text("rubbish\n")

    assert not secret.verify(WORDS)
