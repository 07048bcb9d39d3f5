"""Errors of Python and its libraries in words, without their texts, which may quote data."""

from collections.abc import Iterator
from errno import ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH, EPIPE, ETIMEDOUT
from typing import Final

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
