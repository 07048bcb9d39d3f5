import io
import logging
import re
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from drawcli import logs

SECRET = "Kulkarnee^Ashok"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Take our handlers off again, and give the root logger its level back."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in [one for one in root.handlers if one not in before]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def log_of(state: Path) -> str:
    path = state / "logs" / "drawcli.log"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def test_a_move_of_a_job_is_logged_with_time_and_place(tmp_path: Path) -> None:
    logs.to_file(tmp_path)

    logging.getLogger("drawcli.pipeline").info("job=%s step=%s", "0123456789ab-1", "upload")

    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO drawcli\.pipeline "
        r"job=0123456789ab-1 step=upload\n",
        log_of(tmp_path),
    )


@pytest.mark.parametrize("name", ["pydicom", "pydicom.valuerep", "py.warnings", "any.library"])
def test_the_words_of_a_library_are_withheld(tmp_path: Path, name: str) -> None:
    logs.to_file(tmp_path)

    logging.getLogger(name).warning("Invalid value for VR UI: %r", SECRET)

    assert "text withheld" in log_of(tmp_path)
    assert name in log_of(tmp_path)
    assert SECRET not in log_of(tmp_path)


def test_a_logger_that_only_begins_like_ours_is_not_ours(tmp_path: Path) -> None:
    logs.to_file(tmp_path)

    logging.getLogger("drawcliche").warning(SECRET)

    assert "text withheld" in log_of(tmp_path)


def test_a_warning_of_python_neither_reaches_the_log_nor_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.to_file(tmp_path)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        logging.captureWarnings(capture=True)
        warnings.warn(f"value {SECRET} is too long", UserWarning, stacklevel=1)

    assert "py.warnings" in log_of(tmp_path)
    assert SECRET not in log_of(tmp_path)
    assert capsys.readouterr().err == ""


def test_a_traceback_shows_frames_and_a_type_but_not_the_words(tmp_path: Path) -> None:
    logs.to_file(tmp_path)

    try:
        int(SECRET)
    except ValueError:
        logging.getLogger("drawcli.pipeline").exception("job=%s", "0123456789ab-1")

    log = log_of(tmp_path)
    assert "job=0123456789ab-1" in log
    assert "test_logs.py" in log
    assert log.endswith("ValueError\n")
    assert SECRET not in log


def test_what_caused_an_error_and_its_notes_are_not_shown_either(tmp_path: Path) -> None:
    logs.to_file(tmp_path)

    try:
        try:
            int(SECRET)
        except ValueError as err:
            trouble = RuntimeError("wrapped")
            trouble.add_note(SECRET)
            raise trouble from err
    except RuntimeError:
        logging.getLogger("drawcli").exception("bug")

    assert log_of(tmp_path).endswith("RuntimeError\n")
    assert SECRET not in log_of(tmp_path)


def test_other_handlers_keep_what_they_made_of_an_error(tmp_path: Path) -> None:
    logs.to_file(tmp_path)
    record = logging.LogRecord("drawcli", logging.ERROR, __file__, 1, "bug", None, None)
    record.exc_text = f"ValueError: {SECRET}"

    logging.getLogger("drawcli").handle(record)

    assert SECRET not in log_of(tmp_path)
    assert record.exc_text == f"ValueError: {SECRET}"


def test_debug_is_not_written_to_the_file(tmp_path: Path) -> None:
    logs.to_file(tmp_path)

    logging.getLogger("drawcli").debug("chatter")

    assert log_of(tmp_path) == ""


def test_the_folder_of_the_logs_is_for_its_owner_alone(tmp_path: Path) -> None:
    logs.to_file(tmp_path)

    assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700


def test_a_second_site_in_one_process_gets_its_own_log_and_the_first_no_more(
    tmp_path: Path,
) -> None:
    logs.to_file(tmp_path / "one")
    logs.to_file(tmp_path / "two")

    logging.getLogger("drawcli").info("hello")

    assert log_of(tmp_path / "one") == ""
    assert log_of(tmp_path / "two").count("hello") == 1


def test_a_full_log_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_LARGEST_LOG", 1000)
    logs.to_file(tmp_path)

    for number in range(200):
        logging.getLogger("drawcli").info("line %d of the log", number)

    files = sorted((tmp_path / "logs").iterdir())
    assert len(files) == 6
    assert all(path.stat().st_size <= 1000 for path in files)
    assert "line 199" in log_of(tmp_path)


@pytest.mark.parametrize(("verbosity", "told"), [(1, ["moved"]), (2, ["detail", "moved"])])
def test_verbosity_decides_what_standard_error_gets(
    monkeypatch: pytest.MonkeyPatch, verbosity: int, told: list[str]
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr("sys.stderr", screen)
    logs.to_stderr(verbosity)

    logging.getLogger("drawcli").debug("detail")
    logging.getLogger("drawcli").info("moved")
    logging.getLogger("httpx").info('HTTP Request: GET https://draw "200 OK"')

    assert [line.rpartition(" ")[2] for line in screen.getvalue().splitlines()] == told


def test_the_origin_of_an_error_is_a_file_and_a_line() -> None:
    with pytest.raises(ValueError, match="invalid") as caught:
        int("x")

    assert re.fullmatch(r"test_logs\.py:\d+", logs.origin(caught.value))
    assert logs.origin(ValueError()) == "an unknown line"
