import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drawcli.sandbox.accounts import Accounts


@dataclass
class Clock:
    """A clock that is set by hand."""

    time: datetime = datetime(2026, 11, 22, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Accounts:
    return Accounts(tmp_path / "accounts.json", lifetime=timedelta(days=30), now=clock)


def test_an_access_token_lives_until_its_end(accounts: Accounts, clock: Clock) -> None:
    pair = accounts.first_pair("site")

    assert accounts.client_of(pair.access_token) == "site"
    clock.time = pair.expires_at - timedelta(seconds=1)
    assert accounts.client_of(pair.access_token) == "site"
    clock.time = pair.expires_at
    assert accounts.client_of(pair.access_token) is None


@pytest.mark.parametrize("token", ["", "x", "sandbox-access-"])
def test_an_unknown_token_is_nobodys(accounts: Accounts, token: str) -> None:
    accounts.first_pair("site")

    assert accounts.client_of(token) is None
    assert accounts.refresh(token) is None


def test_a_refresh_token_works_once(accounts: Accounts) -> None:
    first = accounts.first_pair("site")

    second = accounts.refresh(first.refresh_token)

    assert second is not None
    assert accounts.refresh(first.refresh_token) is None
    assert accounts.client_of(second.access_token) == "site"
    assert accounts.client_of(first.access_token) == "site"
    assert accounts.refresh(second.refresh_token) is not None


def test_one_kind_of_token_is_no_use_as_the_other(accounts: Accounts) -> None:
    pair = accounts.first_pair("site")

    assert accounts.client_of(pair.refresh_token) is None
    assert accounts.refresh(pair.access_token) is None


def test_a_new_first_pair_closes_the_old_account(accounts: Accounts) -> None:
    old = accounts.first_pair("site")
    accounts.first_pair("site")

    assert accounts.client_of(old.access_token) is None
    assert accounts.refresh(old.refresh_token) is None


def test_tokens_outlive_a_restart_and_are_not_on_the_servers_disk(
    tmp_path: Path, accounts: Accounts, clock: Clock
) -> None:
    old = accounts.first_pair("site")
    new = accounts.refresh(old.refresh_token)
    assert new is not None

    again = Accounts(tmp_path / "accounts.json", now=clock)

    assert again.client_of(new.access_token) == "site"
    assert again.refresh(old.refresh_token) is None
    text = (tmp_path / "accounts.json").read_text(encoding="utf-8")
    assert not any(token in text for token in (new.access_token, new.refresh_token))
    assert "not for clinical use" in text


def test_the_token_file_is_what_a_client_reads(tmp_path: Path, accounts: Accounts) -> None:
    pair = accounts.first_pair("site")
    path = tmp_path / "token.json"

    pair.write(path)

    assert json.loads(path.read_text(encoding="utf-8")) == {
        "access_token": pair.access_token,
        "refresh_token": pair.refresh_token,
        "expires_at": "2026-12-22T00:00:00+00:00",
    }
    assert sys.platform == "win32" or path.stat().st_mode & 0o777 == 0o600


def test_a_pair_does_not_show_its_tokens_when_it_is_logged(accounts: Accounts) -> None:
    pair = accounts.first_pair("site")

    assert pair.access_token not in repr(pair)
    assert pair.refresh_token not in repr(pair)
