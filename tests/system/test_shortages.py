"""What a shortage of memory, files or threads is taken for, wherever it comes up."""

import errno
import importlib
import os
import py_compile
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from drawcli import cli
from drawcli.adapters.datastore.walk import check_folder, read_file, read_images
from drawcli.adapters.state.site_key import make_site_key, read_site_key
from drawcli.cli import render
from drawcli.core.series.image_file import File
from drawcli.errors import (
    SHORT,
    ConfigError,
    DrawcliError,
    OutOfMemory,
    OutOfResources,
    SeriesRefused,
)
from drawcli.system.failures import (
    as_machine_error,
    as_run_error,
    let_no_start_hang,
    shortage_behind,
)
from drawcli.system.threads import call_with_timeout


def broken(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def replaced(err: BaseException, by: DrawcliError) -> DrawcliError:
    """Return an error as `raise by from None` makes it where `err` is handled."""
    by.__context__, by.__suppress_context__ = err, True
    return by


@pytest.mark.parametrize(
    ("err", "kind"),
    [
        (MemoryError(), OutOfMemory),
        (broken(errno.ENOMEM), OutOfMemory),
        (broken(errno.EMFILE), OutOfResources),
        (broken(errno.ENFILE), OutOfResources),
        (RuntimeError("can't start new thread"), OutOfResources),
        (RuntimeError("can't allocate read lock"), OutOfMemory),
        (SystemError("error return without exception set"), OutOfMemory),
        (type("PanicException", (Exception,), {})("PyObject pointer is null"), OutOfMemory),
        (SystemError("<f> returned NULL without setting an exception"), OutOfMemory),
    ],
)
def test_a_shortage_is_recognised_itself_and_behind_our_errors(
    err: Exception, kind: type[OutOfMemory]
) -> None:
    ours = replaced(err, ConfigError("the site key cannot be read"))

    assert type(shortage_behind(err)) is kind
    assert type(shortage_behind(ours)) is kind
    assert type(as_run_error(ours)) is kind
    job = as_machine_error(replaced(err, SeriesRefused("no image")), "match")
    assert job is not None
    assert job.code == kind.code
    assert "ulimit" in kind.hint or kind is OutOfMemory


@pytest.mark.parametrize(
    "err",
    [broken(errno.EIO), broken(errno.EACCES), ValueError("x"), SystemError("bad argument")],
)
def test_other_errors_are_no_shortage(err: Exception) -> None:
    ours = replaced(err, ConfigError("the site key cannot be read"))

    assert shortage_behind(err) is None
    assert shortage_behind(ours) is None
    assert as_run_error(ours) is ours


def test_a_thread_that_lacks_memory_is_a_shortage_of_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("drawcli.system.failures._PROBE_BYTES", 1 << 60)

    short = shortage_behind(RuntimeError("can't start new thread"))

    assert type(short) is OutOfMemory


def test_a_shortage_of_files_is_no_reason_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise broken(errno.EMFILE)

    image = tmp_path / "a.dcm"
    image.write_bytes(b"x")
    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", full)
        with pytest.raises(OSError, match="open files"):
            read_file(str(image), File("a.dcm", 1, 0, 0))
    monkeypatch.setattr(Path, "stat", full)
    with pytest.raises(OSError, match="open files"):
        read_images([image])


def test_a_shortage_of_files_does_not_make_a_folder_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise broken(errno.ENFILE)

    monkeypatch.setattr(os, "scandir", full)

    with pytest.raises(OSError, match="open files"):
        check_folder(tmp_path)


def test_a_compiled_module_that_a_full_disk_cut_short_is_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python does not notice that it writes only the beginning."""
    source = tmp_path / "cut_short.py"
    source.write_text("LIST = [1, 2, 3]\n", encoding="ascii")
    compiled = Path(py_compile.compile(str(source), doraise=True) or "")
    compiled.write_bytes(compiled.read_bytes()[:40])
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(EOFError) as caught:
        importlib.import_module("cut_short")
    short = as_run_error(caught.value)

    assert short.exit_code == 12
    assert str(short) == (
        f"{compiled} is not whole: the disk was full when Python wrote it; it was removed"
    )
    job = as_machine_error(caught.value, "match")
    assert job is not None
    assert job.code in SHORT
    assert importlib.import_module("cut_short").LIST == [1, 2, 3]
    assert shortage_behind(EOFError()) is None


def test_a_shortage_during_output_is_one_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def show(_console: object) -> None:
        raise broken(errno.EMFILE)

    code = render.finish("status", render.Result(show=show), render.Style())

    assert code == 12
    assert capsys.readouterr().err.startswith("drawcli: too many open files\n  Nothing is lost")


def test_a_library_that_would_end_the_process_is_not_loaded_without_memory() -> None:
    """OpenBLAS prints a line and exits with 1 where it gets no memory."""
    resource = pytest.importorskip("resource")
    code = (
        "from drawcli.system.failures import refuse_libraries_without_memory as refuse; refuse();"
        "import sys; taken = mmap.mmap(-1, {} << 20) if (mmap := __import__('mmap')) else 0\n"
        "try:\n import numpy\nexcept MemoryError: sys.exit(12)"
    )
    codes = []
    for megabytes in range(20, 180, 20):  # which the process has left, of 1 GiB
        ended = subprocess.run(
            [sys.executable, "-c", code.format(1024 - 60 - megabytes)],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)),
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            check=False,
        )
        codes.append(ended.returncode)

    assert set(codes) == {0, 12}, codes


def test_a_shortage_does_not_make_the_site_key_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_site_key(tmp_path)

    def full(*_: object, **__: object) -> str:
        raise broken(errno.ENFILE)

    monkeypatch.setattr(Path, "read_text", full)

    with pytest.raises(ConfigError) as caught:
        read_site_key(tmp_path)
    assert isinstance(shortage_behind(caught.value), OutOfResources)


@pytest.mark.parametrize("err", [MemoryError(), ImportError("cannot map"), broken(errno.EMFILE)])
def test_a_shortage_before_a_command_begins_is_one_message(
    err: Exception, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def short() -> None:
        raise err

    monkeypatch.setattr("drawcli.cli.program.run", short)
    if isinstance(err, ImportError):
        monkeypatch.setattr("drawcli.system.failures._PROBE_BYTES", 1 << 60)

    with pytest.raises(SystemExit) as ended:
        cli.main()

    said = capfd.readouterr().err
    assert ended.value.code == 12
    assert said.startswith("drawcli: too many open" if isinstance(err, OSError) else "drawcli: not")
    assert len(said.splitlines()) == 2
    monkeypatch.setattr("sys.argv", ["drawcli", "status", "--debug"])
    with pytest.raises(type(err)):
        cli.main()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_start_of_a_thread_ends_also_if_the_thread_got_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Short(Thread):
        def _bootstrap_inner(self) -> None:
            raise MemoryError

    monkeypatch.setattr(Thread, "start", Thread.start)
    let_no_start_hang()

    with pytest.raises(MemoryError):
        call_with_timeout(Short(daemon=True).start, 30)
    assert call_with_timeout(lambda: "runs", 30) == "runs"
    started = Thread(target=str)
    started.start()
    with pytest.raises(RuntimeError, match="only be started once"):
        started.start()
