"""Options of commands: from dataclasses, and built only for the commands that are called."""

import inspect
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from copy import copy
from dataclasses import is_dataclass
from functools import cache, wraps
from typing import Any, Final

import typer
from typer.models import CommandInfo, TyperInfo

from drawcli.cli import completion

NAMES: Final = ("__module__", "__name__", "__qualname__", "__doc__")  # of a function; copied


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    """Return a function for typer with an option for each field of its dataclasses."""
    parameters = inspect.signature(function).parameters
    groups: dict[str, Any] = {
        name: p.annotation for name, p in parameters.items() if is_dataclass(p.annotation)
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


@cache
def _options_of(kind: Any) -> list[inspect.Parameter]:
    """Return the fields of a dataclass as parameters of a function."""
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


def with_values_as_typed(command: Any) -> Any:
    """Change a command of typer to leave its values as typed: completion shows none of them.

    To convert a value typer imports pydantic, which takes longer than the rest of a completion.
    """
    parameters_of = command.get_params  # with --help, which is made at each call

    def get_params(ctx: typer.Context) -> list[Any]:
        parameters: list[Any] = parameters_of(ctx)
        for parameter in parameters:
            parameter.process_value = lambda _, value: value
        return parameters

    command.get_params = get_params
    for inner in getattr(command, "commands", {}).values():
        with_values_as_typed(inner)
    return command


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
