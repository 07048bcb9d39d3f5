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
def test_the_words_of_the_protocol_are_understood(word: object, state: str) -> None:
    assert status_of({"status": word}).state == state


def test_a_failure_tells_its_reason_and_no_other_state_does() -> None:
    failed = status_of({"status": "FAILED", "error": " no \n GPU "})
    running = status_of({"status": "PENDING", "error": "none yet"})

    assert (failed.word, failed.error) == ("FAILED", "no GPU")
    assert running.error == ""


def test_what_a_server_says_cannot_steer_a_terminal_nor_fill_it() -> None:
    hostile = "\x1b[2J\x07" + "A" * 1000

    failed = status_of({"status": "FAILED " + hostile, "error": hostile})

    assert failed.state is TaskState.FAILED
    assert failed.word.isprintable()
    assert failed.error.isprintable()
    assert len(failed.word) == len(failed.error) == 200
