"""What is wrong with a YAML file, in words."""

from pathlib import Path
from typing import Final

import yaml

_INDENT_HINT: Final = (
    "Look at the line above too: indent with blanks, two for each level, never with tabs."
)
# The beginnings of PyYAML's messages, and what they mean to somebody who writes rules.
_YAML_WORDS: Final = (
    ("mapping values are not", "a second ':' in a line, or too deep; quote a text with ': ' in it"),
    ("expected <block end>", "this line is not indented as the lines it belongs to"),
    ("could not find expected ':'", "a key without ':' behind it"),
    ("found character '\\t'", "a tab; indent with blanks"),
    ("found character", "a text cannot begin with this character; put it in quotes"),
    ("found unexpected end of", "a quote opens here and is never closed"),
    ("expected ',' or", "a bracket opens here and is never closed, or lacks a comma"),
    ("expected the node content", "a bracket closes, or a value is missing, where none can be"),
    ("found unknown escape", "a backslash in double quotes; use single quotes"),
    ("found undefined alias", "a text that begins with '*'; put it in quotes"),
    ("could not determine a constr", "a text that begins with '!'; put it in quotes"),
    ("but found another document", "a second document behind '---'; keep one in a file"),
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
    what = next((words for begin, words in _YAML_WORDS if problem.startswith(begin)), problem)
    if mark is not None:
        return f"{path}:{mark.line + 1}:{mark.column + 1}: {what}"
    before = text[: getattr(err, "position", 0)]
    return f"{path}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}: {what}"
