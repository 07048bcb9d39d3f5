"""Errors of Python and its libraries in words, without their texts, which may quote data.

Shortages of memory, open files, threads and processes are recognised here wherever they come up:
they are no fault of the job or the file at hand. A run ends with 12 and one message; the job waits.
"""

import sys
from collections.abc import Callable, Iterator
from errno import (
    ECONNREFUSED,
    ECONNRESET,
    EHOSTUNREACH,
    EMFILE,
    ENETUNREACH,
    ENFILE,
    ENOMEM,
    EPIPE,
    ETIMEDOUT,
)
from functools import wraps
from mmap import mmap
from pathlib import Path
from threading import Event, Thread
from typing import Final
from weakref import ref

from drawcli.errors import DrawcliError, OutOfMemory, OutOfResources, TryLater

_BY_NUMBER: Final = {
    ECONNREFUSED: "the connection is refused: no program listens there",
    ECONNRESET: "the connection was closed by the other side",
    EPIPE: "the connection was closed by the other side",
    EHOSTUNREACH: "the network has no way to this host",
    ENETUNREACH: "the network has no way to this host",
    ETIMEDOUT: "no answer in time",
}
_UNKNOWN_HOST: Final = "gaierror"
_BY_NAME: Final = {  # of modules that take long to import
    _UNKNOWN_HOST: "the name of the host is not known (DNS)",
    "SSLError": "not as TLS needs it",
}
_BY_KIND: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (TimeoutError, "no answer in time"),
    (UnicodeError, "not a text in the expected encoding"),
    (MemoryError, "not enough memory"),
    (RecursionError, "nested too deep"),
    (EOFError, "it ends too early"),
    (ValueError, "not in the expected form"),
    (LookupError, "a part is missing"),
    (ImportError, "a package is not installed, or not whole"),
)
# Errors that a shortage may cause; see `shortage_behind`.
SHORTAGES: Final = (
    *(MemoryError, OSError, RuntimeError, ImportError, NameError, AttributeError, SystemError),
    *(EOFError, ValueError, TypeError),  # of a compiled module that was cut short
)
_FILES: Final = frozenset({EMFILE, ENFILE})
_NO_MEMORY: Final = "not enough memory"
_PROBE_BYTES: Final = 64 << 20
# Libraries that end the process if there is not so much memory when they are loaded.
_MEMORY_TO_LOAD: Final = {"numpy": 128 << 20, "scipy": 128 << 20}  # OpenBLAS
_LISTEN_SECONDS: Final = 0.5
_RESERVE_BYTES: Final = 64 << 20  # a library of 20 MB is loaded, and works


def in_words(err: BaseException) -> str:
    """Return what an error means.

    >>> in_words(FileNotFoundError(2, "No such file or directory")), in_words(KeyError("x"))
    ('no such file or directory', 'a part is missing')
    """
    if isinstance(err, OSError) and err.errno in _BY_NUMBER:
        return _BY_NUMBER[err.errno]
    for name, words in _BY_NAME.items():
        if name in _names(err):
            return words
    for kind, words in _BY_KIND:
        if isinstance(err, kind):
            return words
    text = err.strerror if isinstance(err, OSError) else None
    return f"{text[:1].lower()}{text[1:]}" if text else "for an unknown reason"


def cause_in_words(err: BaseException) -> str:
    """Return what the first error of the operating system behind an error means; "" if none.

    A failed connection has tried several addresses, each with an error of its own.
    """
    for cause in _causes(err):
        known = isinstance(cause, OSError) and cause.errno in _BY_NUMBER
        if known or _UNKNOWN_HOST in _names(cause):
            return in_words(cause)
    return ""


def _names(err: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(err).__mro__}


def _causes(err: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    todo: list[BaseException | None] = [err]
    while todo:
        one = todo.pop(0)
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            todo += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]


def shortage_behind(err: BaseException) -> OutOfMemory | None:
    """Return the shortage of memory, files or threads that caused an error; None if none did.

    The cause of an error of drawcli is among those that it replaced. A library that was only partly
    loaded can fail later with any error: so after an unexpected one this tries to get memory.
    """
    cause: BaseException | None = err
    seen: set[int] = set()
    found: OutOfMemory | None = None
    while cause is not None and id(cause) not in seen:
        found = _shortage(cause) or found  # the first cause is the most precise
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    if found is None and not isinstance(err, DrawcliError) and _has_no_memory():
        return OutOfMemory(_NO_MEMORY)
    return found


def is_panic(err: BaseException) -> bool:
    """Return whether code in Rust has panicked, as it does without memory."""
    return type(err).__name__ == "PanicException"  # PyO3 makes the class of each library


def raise_if_short(err: Exception) -> None:
    """Raise the shortage that caused an error, if one did; see `shortage_behind`."""
    if (shortage := shortage_behind(err)) is not None:
        raise shortage from err


def raise_shortage(err: Exception) -> None:
    """Raise a shortage again; call it before an error is taken for a property of a file."""
    if _shortage(err) is not None:
        raise err


def check_memory(size: int = _RESERVE_BYTES) -> None:
    """Raise MemoryError unless so many bytes are left, 64 MiB by default; none of it is used.

    Call it before a library that ends the process where it gets no memory, as those in Rust do.
    """
    try:
        mmap(-1, size).close()
    except OSError as err:
        raise MemoryError from err


class _MemoryCheck:
    """A finder of `sys.meta_path` that finds nothing, and raises MemoryError instead."""

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        """Check that there is enough memory for a library before it is loaded."""
        if name in _MEMORY_TO_LOAD:
            check_memory(_MEMORY_TO_LOAD[name])


def refuse_libraries_without_memory() -> None:
    """Make the import of a library that would end the process raise MemoryError from now on."""
    if not any(isinstance(finder, _MemoryCheck) for finder in sys.meta_path):
        sys.meta_path.insert(0, _MemoryCheck())


class _Started(Event):
    """Set when a thread runs; a wait without limit fails if the thread ended before it ran."""

    def __init__(self, thread: Thread) -> None:
        super().__init__()
        # While the thread lives, the interpreter holds this method, and nothing else does.
        bootstrap: Callable[[], None] = thread._bootstrap  # type: ignore[attr-defined] # noqa: SLF001
        self._alive = ref(bootstrap)
        self._names = vars(thread)
        self._names["_bootstrap"] = bootstrap  # until the thread is started

    def wait(self, timeout: float | None = None) -> bool:
        """Wait as an event does; without a timeout, raise MemoryError if the thread has ended."""
        self._names.pop("_bootstrap", None)
        if timeout is not None:
            return super().wait(timeout)
        while not super().wait(_LISTEN_SECONDS):
            if self._alive() is None and not self.is_set():
                raise MemoryError("a thread ended before it ran")
        return True


def let_no_start_hang() -> None:
    """Make the start of a thread that gets no memory to run raise MemoryError from now on.

    `Thread.start` waits until the thread runs, also where it has ended before.
    """
    if not hasattr(Thread.start, "__wrapped__"):
        setattr(Thread, "start", _checked(Thread.start))  # noqa: B010 - a name of the library


def _checked(start: Callable[[Thread], None]) -> Callable[[Thread], None]:
    @wraps(start)
    def call(thread: Thread) -> None:
        if not thread.ident:
            setattr(thread, "_started", _Started(thread))  # noqa: B010 - likewise
        start(thread)

    return call


def _shortage(err: BaseException) -> OutOfMemory | None:
    if _is_memory_error(err):
        return OutOfMemory(_NO_MEMORY)
    if isinstance(err, OSError) and err.errno in _FILES:
        return OutOfResources("too many open files")
    if isinstance(err, RuntimeError) and "start new thread" in str(err):
        if _has_no_memory():
            return OutOfMemory(_NO_MEMORY)
        return OutOfResources("the system starts no further thread")
    if isinstance(err, EOFError | ValueError | TypeError):
        return _cut_short(err)
    return None


def _is_memory_error(err: BaseException) -> bool:
    if isinstance(err, RuntimeError):
        return "can't allocate" in str(err)  # the lock of a file
    if isinstance(err, SystemError):  # code in C got no memory, and raised nothing
        return "without" in str(err) and "exception" in str(err)
    if is_panic(err):
        return any(words in str(err) for words in ("is null", "failed to create"))
    return isinstance(err, MemoryError) or (isinstance(err, OSError) and err.errno == ENOMEM)


def _cut_short(err: BaseException) -> OutOfResources | None:
    """Return the error for a compiled module that is not whole, and remove it; None for others.

    Where the disk is full Python writes the beginning of a module that it compiles, and fails to
    load it ever after. It compiles a module that has no such file again.
    """
    trace = err.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_name != "_compile_bytecode":
        trace = trace.tb_next
    path = trace.tb_frame.f_locals.get("bytecode_path") if trace is not None else None
    if not isinstance(path, str):
        return None
    text = f"{path} is not whole: the disk was full when Python wrote it"
    try:
        Path(path).unlink(missing_ok=True)
    except OSError:
        return OutOfResources(text, hint="Delete this file; nothing is lost.")
    return OutOfResources(f"{text}; it was removed", hint="Nothing is lost; run drawcli again.")


def _has_no_memory() -> bool:
    try:
        check_memory(_PROBE_BYTES)
    except MemoryError:
        return True
    return False


def as_run_error(err: Exception) -> DrawcliError:
    """Return the DrawcliError that ends a run; raise any other error but a shortage."""
    if (shortage := shortage_behind(err)) is not None:
        return shortage
    if isinstance(err, DrawcliError):
        return err
    raise err


def as_machine_error(err: Exception, step: str) -> TryLater | None:
    """Return the error of a job for a disk error or a shortage; None for other errors."""
    if (shortage := shortage_behind(err)) is not None:
        return TryLater(str(shortage), code=shortage.code, hint=shortage.hint)
    if isinstance(err, DrawcliError):
        return None
    if isinstance(err, OSError):
        return TryLater(f"{step}: {err.strerror or 'the disk reports an error'}", code="io")
    return None
