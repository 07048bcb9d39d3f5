"""What was sent is kept within bounds; a silence has reason and end, and damage is none."""

from datetime import timedelta
from pathlib import Path

import pytest

from drawcli.adapters.messages.sent import FILE_NAME, SentMessage, SentMessages
from drawcli.adapters.messages.silence import FILE_NAME as SILENCE
from drawcli.adapters.messages.silence import (
    LONGEST,
    Silence,
    end_silence,
    new_silence,
    read_silence,
    write_silence,
)
from drawcli.adapters.notifications import Recipient
from drawcli.errors import UsageError
from tests.conftest import NOON

HOUR = timedelta(hours=1)


def test_a_silence_lasts_from_its_begin_to_its_end(tmp_path: Path) -> None:
    assert read_silence(tmp_path, NOON) is None
    write_silence(tmp_path, new_silence(NOON, HOUR, "anna (page)", " the server\x00\nmoves "))

    found = read_silence(tmp_path, NOON)

    assert found == Silence(NOON, NOON + HOUR, "anna (page)", "the server moves")
    assert read_silence(tmp_path, NOON - HOUR) is None  # a clock that was set back
    assert read_silence(tmp_path, NOON + HOUR) is None
    end_silence(tmp_path)
    assert read_silence(tmp_path, NOON) is None


@pytest.mark.parametrize(
    ("span", "reason"),
    [(HOUR, ""), (HOUR, " \n"), (HOUR, "x" * 201), (timedelta(), "why"), (LONGEST + HOUR, "why")],
)
def test_a_silence_without_reason_or_end_is_refused(span: timedelta, reason: str) -> None:
    with pytest.raises(UsageError):
        new_silence(NOON, span, "anna", reason)


@pytest.mark.parametrize(
    "raw", ["", "{", "[]", '{"since": 1}', '{"since": "x", "until": "y", "by": "", "reason": ""}']
)
def test_a_damaged_silence_silences_nothing(tmp_path: Path, raw: str) -> None:
    (tmp_path / SILENCE).write_text(raw)

    assert read_silence(tmp_path, NOON) is None


def test_a_silence_that_somebody_made_endless_silences_nothing(tmp_path: Path) -> None:
    write_silence(tmp_path, Silence(NOON, NOON + timedelta(days=3650), "x", "y"))

    assert read_silence(tmp_path, NOON + HOUR) is None


def test_messages_are_kept_within_bounds_and_the_newest_come_first(tmp_path: Path) -> None:
    sent = SentMessages(tmp_path)
    for number in range(1200):
        sent.add(SentMessage(NOON, "recipient 1 (mailto)", str(number), "x" * 900, is_taken=True))

    size = sum(path.stat().st_size for path in tmp_path.glob(f"{FILE_NAME}*"))
    assert size < 1_100_000
    assert [one.title for one in sent.newest_first(3)] == ["1199", "1198", "1197"]
    sent.add(SentMessage(NOON, "recipient 1 (mailto)", "long", "y" * 100_000, is_taken=False))
    (last,) = sent.newest_first(1)
    assert (len(last.body), last.is_taken) == (4000, False)


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("mailto://user:word@host", "recipient 3 (mailto)"),
        ("json://10.0.0.1/secret", "recipient 3 (json)"),
        ("secret-token-without-a-scheme" * 3, "recipient 3 (?)"),
    ],
)
def test_a_recipient_is_named_by_number_and_kind(url: str, masked: str) -> None:
    assert Recipient(3, url).masked == masked
