"""What is wrong with a YAML file, in words."""

from pathlib import Path
from typing import Final

import yaml

INDENT_HINT: Final = "Check the line above too. Indent with two spaces for each level, not tabs."

# The beginnings of PyYAML's messages, and messages for authors of rules.
_YAML_MESSAGES: Final = (
    ("mapping values are not", "a second ':', or wrong indentation; quote a text with ': ' in it"),
    ("expected <block end>", "this line is not indented like its block"),
    ("could not find expected ':'", "a key without a ':' after it"),
    ("found character '\\t'", "a tab; indent with spaces"),
    ("found character", "a text cannot begin with this character; put it in quotes"),
    ("found unexpected end of", "a quote opens here and is not closed"),
    ("expected ',' or", "a bracket opens here and is not closed, or lacks a comma"),
    ("expected the node content", "an unexpected closing bracket, or a missing value"),
    ("found unknown escape", "a backslash in double quotes; use single quotes"),
    ("found undefined alias", "a text that begins with '*'; put it in quotes"),
    ("could not determine a constr", "a text that begins with '!'; put it in quotes"),
    ("but found another document", "a second document after '---'; a file may have only one"),
    ("special characters", "a control character; is the file damaged?"),
)
_AT_THE_OPENING: Final = (
    "found unexpected end of",
    "expected ',' or",
    "could not find expected ':'",
)


def yaml_problem(path: Path, text: str, err: yaml.YAMLError) -> str:
    """Return what is wrong with a text that is no YAML, with line and column."""
    problem = str(getattr(err, "problem", None) or getattr(err, "reason", None) or "not YAML")
    mark = getattr(err, "problem_mark", None)
    if problem.startswith(_AT_THE_OPENING):
        mark = getattr(err, "context_mark", None) or mark
    problem = next(
        (message for begin, message in _YAML_MESSAGES if problem.startswith(begin)), problem
    )
    if mark is not None:
        return f"{path}:{mark.line + 1}:{mark.column + 1}: {problem}"
    before = text[: getattr(err, "position", 0)]
    return f"{path}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}: {problem}"
