"""Options of commands: from records, and built only for the commands that are called."""

import inspect
import os
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from copy import copy
from dataclasses import is_dataclass
from functools import cache, partial, wraps
from pathlib import Path
from typing import Any, Final

import typer
from typer.models import CommandInfo, TyperInfo

from drawcli.cli import completion

NAMES: Final = ("__module__", "__name__", "__qualname__", "__doc__")  # of a function; copied


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    """Return a function for typer with an option for each field of its records."""
    parameters = inspect.signature(function).parameters
    groups: dict[str, Any] = {
        name: p.annotation for name, p in parameters.items() if _is_record(p.annotation)
    }
    options = [
        each
        for name, parameter in parameters.items()
        for each in (_options_of(groups[name]) if name in groups else [parameter])
    ]
    for option in options:
        completion.offer(option)

    @wraps(function, assigned=NAMES)
    def call(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{p.name: given.pop(p.name) for p in _options_of(kind)})
        function(**given)

    call.__signature__ = keyword_signature(options)  # type: ignore[attr-defined] # as functools does
    call.__annotations__ = {option.name: option.annotation for option in options}
    return call


def _is_record(kind: Any) -> bool:
    return is_dataclass(kind) or hasattr(kind, "_fields")  # of a NamedTuple


@cache
def _options_of(kind: Any) -> list[inspect.Parameter]:
    """Return the fields of a record as parameters of a function."""
    return list(inspect.signature(kind).parameters.values())


def keyword_signature(parameters: Iterable[inspect.Parameter]) -> inspect.Signature:
    """Return the signature of a function that takes parameters as keywords only."""
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Signature([one.replace(kind=kind) for one in parameters])


def only_asked(app: typer.Typer, words: AbstractSet[str]) -> typer.Typer:
    """Return a copy of an app with options only for the commands named in `words`.

    A command that runs, shows its help or is completed is named on the command line. The others
    show only name and help, and reading their options takes two thirds of the start-up time.
    """
    quick = copy(app)
    quick.registered_commands = [
        info if info.name in words else _listed(info) for info in app.registered_commands
    ]
    quick.registered_groups = [
        group if group.name in words else _listed_group(group) for group in app.registered_groups
    ]
    return quick


def with_quick_values(command: Any) -> Any:
    """Change a command of typer to convert itself what needs no check.

    For its conversions typer imports pydantic, which takes longer than `status`. Most values are
    defaults, texts, or paths of files that can be read.
    """

    def convert_quickly(parameter: Any) -> None:
        convert = getattr(parameter, "get_runtime_param", None)  # typer converts since 0.26
        if convert is not None and not isinstance(convert, partial):
            parameter.get_runtime_param = partial(_QuickValue, convert)

    return _with_parameters(command, convert_quickly)


def with_values_as_typed(command: Any) -> Any:
    """Change a command of typer to leave its values as typed: completion shows none of them."""

    def leave(parameter: Any) -> None:
        parameter.process_value = lambda _, value: value

    return _with_parameters(command, leave)


def _with_parameters(command: Any, change: Callable[[Any], None]) -> Any:
    parameters_of = command.get_params  # with --help, which is made at each call

    def get_params(ctx: typer.Context) -> list[Any]:
        parameters: list[Any] = parameters_of(ctx)
        for parameter in parameters:
            change(parameter)
        return parameters

    command.get_params = get_params
    for inner in getattr(command, "commands", {}).values():
        _with_parameters(inner, change)
    return command


class _QuickValue:
    """Converts simple values; leaves all others to the conversion of typer."""

    def __init__(self, convert: Callable[[], Any]) -> None:
        self._convert = convert

    def coerce(self, value: Any, param: Any, ctx: typer.Context) -> Any:
        """Return a value of a parameter, converted to its type."""
        kind = param.type_descriptor.annotation
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if type(value) is kind:
            return value
        if kind is Path and isinstance(value, str) and os.access(value, os.R_OK):
            return Path(value)
        return self._convert().coerce(value, param=param, ctx=ctx)


def _listed(info: CommandInfo) -> CommandInfo:
    listed = copy(info)
    listed.callback = _without_options(info.callback)
    return listed


def _listed_group(group: TyperInfo) -> TyperInfo:
    listed = copy(group)
    if group.typer_instance is not None:
        listed.typer_instance = only_asked(group.typer_instance, frozenset())
    return listed


def _without_options(command: Callable[..., object] | None) -> Callable[[], None]:
    def listed() -> None:
        raise AssertionError("a command runs that was not asked for")

    listed.__doc__ = command.__doc__
    return listed
