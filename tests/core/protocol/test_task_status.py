import pytest

from drawcli.core.protocol.task_status import TaskState, status_of


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("SEGMENTATION COMPLETED", "ready"),
        ("segmentation_complete", "ready"),
        ("  Segmentation \t retrieved\n", "ready"),
        ("DELIVERED_TO_CLIENT", "delivered"),
        ("transfer completed", "delivered"),
        ("FAILED", "failed"),
        ("error", "failed"),
        ("SEGMENTATION__FAILED", "failed"),
        ("PREPROCESSING FAILED AGAIN", "failed"),
        ("PENDING", "running"),
        ("PROCESSING", "running"),
        ("COMPLETED", "running"),
        ("ERRORS", "running"),
        ("some word of next year", "running"),
        ("", "running"),
        (None, "running"),
        (7, "running"),
    ],
)
def test_the_status_words_of_the_protocol_are_understood(word: object, state: str) -> None:
    assert status_of({"status": word}).state == state


def test_only_a_failure_has_a_reason() -> None:
    failed = status_of({"status": "FAILED", "error": " no \n GPU "})
    running = status_of({"status": "PENDING", "error": "none yet"})

    assert (failed.word, failed.error) == ("FAILED", "no GPU")
    assert running.error == ""


def test_texts_of_the_server_are_printable_and_short() -> None:
    hostile = "\x1b[2J\x07" + "A" * 1000

    failed = status_of({"status": "FAILED " + hostile, "error": hostile})

    assert failed.state is TaskState.FAILED
    assert failed.word.isprintable()
    assert failed.error.isprintable()
    assert len(failed.word) == len(failed.error) == 200
