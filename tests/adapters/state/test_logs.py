import io
import json
import logging
import re
import stat
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from drawcli.adapters.state import logs
from drawcli.config.sections_monitoring import Logs

pytestmark = pytest.mark.usefixtures("logging_as_it_was")
SECRET = "Kulkarnee^Ashok"


def to_file(state: Path, settings: Logs | None = None) -> None:
    logs.to_file(state, settings or Logs(), "0badcafe")


def log_of(state: Path) -> str:
    path = state / "logs" / "drawcli.log"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def test_an_event_of_a_job_is_logged_with_time_and_logger(tmp_path: Path) -> None:
    to_file(tmp_path)

    logging.getLogger("drawcli.pipeline.runner").info("job=%s step=%s", "0123456789ab-1", "upload")

    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO drawcli\.pipeline\.runner "
        r"run=0badcafe job=0123456789ab-1 step=upload\n",
        log_of(tmp_path),
    )


@pytest.mark.parametrize("name", ["pydicom", "pydicom.valuerep", "py.warnings", "any.library"])
def test_the_messages_of_libraries_are_withheld(tmp_path: Path, name: str) -> None:
    to_file(tmp_path)

    logging.getLogger(name).warning("Invalid value for VR UI: %r", SECRET)

    assert "text withheld" in log_of(tmp_path)
    assert name in log_of(tmp_path)
    assert SECRET not in log_of(tmp_path)


def test_a_logger_whose_name_only_begins_with_drawcli_is_withheld(tmp_path: Path) -> None:
    to_file(tmp_path)

    logging.getLogger("drawcliche").warning(SECRET)

    assert "text withheld" in log_of(tmp_path)


def test_a_warning_of_python_neither_reaches_the_log_nor_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to_file(tmp_path)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        logging.captureWarnings(capture=True)
        warnings.warn(f"value {SECRET} is too long", UserWarning, stacklevel=1)

    assert "py.warnings" in log_of(tmp_path)
    assert SECRET not in log_of(tmp_path)
    assert capsys.readouterr().err == ""


def test_a_traceback_shows_frames_and_type_without_message(tmp_path: Path) -> None:
    to_file(tmp_path)

    try:
        int(SECRET)
    except ValueError:
        logging.getLogger("drawcli.pipeline.runner").exception("job=%s", "0123456789ab-1")

    log = log_of(tmp_path)
    assert "job=0123456789ab-1" in log
    assert "test_logs.py" in log
    assert log.endswith("ValueError\n")
    assert SECRET not in log


def test_causes_and_notes_of_an_error_are_not_shown(tmp_path: Path) -> None:
    to_file(tmp_path)

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


def test_other_handlers_keep_their_cached_traceback(tmp_path: Path) -> None:
    to_file(tmp_path)
    record = logging.LogRecord("drawcli", logging.ERROR, __file__, 1, "bug", None, None)
    record.exc_text = f"ValueError: {SECRET}"

    logging.getLogger("drawcli").handle(record)

    assert SECRET not in log_of(tmp_path)
    assert record.exc_text == f"ValueError: {SECRET}"


def test_debug_is_not_written_to_the_file(tmp_path: Path) -> None:
    to_file(tmp_path)

    logging.getLogger("drawcli").debug("chatter")

    assert log_of(tmp_path) == ""


def test_the_folder_of_the_logs_is_for_its_owner_alone(tmp_path: Path) -> None:
    to_file(tmp_path)

    assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700


def test_a_second_site_in_one_process_replaces_the_log_file(
    tmp_path: Path,
) -> None:
    to_file(tmp_path / "one")
    to_file(tmp_path / "two")

    logging.getLogger("drawcli").info("hello")

    assert log_of(tmp_path / "one") == ""
    assert log_of(tmp_path / "two").count("hello") == 1


def test_a_full_log_is_rotated(tmp_path: Path) -> None:
    to_file(tmp_path, Logs(max_mb=0.001, keep=5))

    for number in range(200):
        logging.getLogger("drawcli").info("line %d of the log", number)

    files = sorted((tmp_path / "logs").glob("drawcli.log*"))
    assert len(files) == 6
    assert all(path.stat().st_size <= 1000 for path in files)
    assert "line 199" in log_of(tmp_path)


def test_several_processes_write_and_rotate_one_log_and_lose_no_line(tmp_path: Path) -> None:
    settings = Logs(max_mb=0.002, keep=1000)
    handlers = []
    for _ in range(3):  # each as if it were alone: no lock of the process, no open file is shared
        handler = logs._LogFile(tmp_path / "drawcli.log", settings)
        handler.setFormatter(logging.Formatter("%(message)s"))
        handlers.append(handler)

    def work(number: int) -> None:
        for line in range(60):
            text = f"{number} {line} {'x' * 40}"
            record = logging.LogRecord("drawcli", logging.INFO, "", 1, text, None, None)
            handlers[number].emit(record)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))

    files = sorted(tmp_path.glob("drawcli.log*"))
    lines = [line for path in files for line in path.read_text().splitlines()]
    assert len(files) > 3
    assert all(1900 < path.stat().st_size <= 2100 for path in files[1:])  # each was rotated once
    assert sorted(line[:-41] for line in lines) == sorted(
        f"{number} {line}" for number in range(3) for line in range(60)
    )


def test_a_log_that_cannot_be_written_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to_file(tmp_path)
    (tmp_path / "logs" / "drawcli.log").mkdir()

    logging.getLogger("drawcli").info("hello")

    assert capsys.readouterr() == ("", "")


def test_as_json_each_line_is_an_object_with_pairs_as_keys(tmp_path: Path) -> None:
    to_file(tmp_path, Logs(format="json"))
    form = "job=%s step=%s from=%s outcome=%s code=%s"

    logging.getLogger("drawcli.pipeline.runner").info(
        form, "0123456789ab-1", "upload", "a", "b", None
    )
    logging.getLogger("pydicom").warning("Invalid value for VR UI: %r run=%s", SECRET, SECRET)
    try:
        int(SECRET)
    except ValueError:
        logging.getLogger("drawcli.pipeline.runner").exception("job=%s", "0123456789ab-1")

    move, foreign, bug = map(json.loads, log_of(tmp_path).splitlines())
    assert datetime.fromisoformat(move.pop("at")).tzinfo is not None
    said = form % ("0123456789ab-1", "upload", "a", "b", None)
    where = {
        "level": "INFO",
        "logger": "drawcli.pipeline.runner",
        "run": "0badcafe",
        "message": said,
    }
    assert move == where | {"job": "0123456789ab-1", "step": "upload", "from": "a", "outcome": "b"}
    assert foreign["run"] == "0badcafe"
    assert (bug["error"], "test_logs.py" in bug["trace"][0]) == ("ValueError", True)
    assert SECRET not in log_of(tmp_path)


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
