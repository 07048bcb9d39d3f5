"""New values as lines of YAML, in the style of the files of a site."""

from typing import Any, Final

from drawcli.system.yaml_edit import flow_style

# Keys whose values are written as a block; other values without inner collections on one line.
BLOCK_KEYS: Final = frozenset(
    {"when", "all", "any", "not", "header", "models", "map", "structures", "derived", "empty"}
)


def block_lines(value: Any, key: str = "") -> list[str]:
    """Return a value as lines of YAML, without indentation: one line where it has no inner values.

    >>> block_lines({"name": "a", "when": {"all": [{"Modality": "CT"}]}})
    ['name: a', 'when:', '  all:', '    - Modality: CT']
    """
    if isinstance(value, dict) and value:
        return [line for name, one in value.items() for line in pair_lines(name, one)]
    if isinstance(value, list | tuple) and value and (key in BLOCK_KEYS or _is_deep(value)):
        return [line for one in value for line in item_lines(one)]
    return [flow_style(value)]


def pair_lines(name: Any, value: Any) -> list[str]:
    """Return a key with its value as lines."""
    if not is_block(name, value):
        return [f"{flow_style(name)}: {flow_style(value)}"]
    return [f"{flow_style(name)}:", *(f"  {line}" for line in block_lines(value, str(name)))]


def item_lines(value: Any) -> list[str]:
    """Return an item of a list as lines, with its dash."""
    first, *rest = block_lines(value)
    return [f"- {first}", *(f"  {line}" for line in rest)]


def is_block(name: Any, value: Any) -> bool:
    """Return whether the value of a key is written below it, as a block."""
    is_collection = isinstance(value, dict | list | tuple) and bool(value)
    return is_collection and (name in BLOCK_KEYS or _is_deep(value))


def _is_deep(value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value
    return any(isinstance(one, dict | list | tuple) for one in inner)
