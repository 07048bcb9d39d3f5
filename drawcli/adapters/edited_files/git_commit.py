"""Commits of one file by git, in the name of a user of the page.

Where the file is in a work tree, a change that git does not take is no change: `Repository.check`
names what would prevent a commit before anything is written, and a hook may still refuse.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drawcli.errors import ConfigError
from drawcli.system.limits import EXCHANGES
from drawcli.system.printable import plain
from drawcli.system.programs import ProgramResult, run_program

SERVICE: Final = "drawcli"
_QUIET: Final = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": "true",
    "GIT_OPTIONAL_LOCKS": "0",
}
_NO_WORK_TREE: Final = "not a git repository (or any"
_MOST_LINES: Final = 20
_MOST_CHARACTERS: Final = 1500
_ESCAPE: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_NOTHING_CHANGED: Final = "Nothing was changed."


@dataclass(frozen=True, slots=True)
class Commit:
    """Who changed a file, and what."""

    author: str  # "": nobody in particular
    message: str


class Repository:
    """The work tree around one file.

    Parameters
    ----------
    path
        The file, without symbolic links.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of(cls, path: Path) -> "Repository | None":
        """Return the work tree that keeps a file; None if none does, or ignores it.

        Raises
        ------
        ConfigError
            Where there is a repository, but git does not open it.
        """
        places = (path.parent, *path.parent.parents)
        if not any(os.path.lexists(place / ".git") for place in places):
            return None
        found = cls(path)
        inside = found._run("rev-parse", "--is-inside-work-tree")
        words = _words(inside)
        if inside.code is None:
            raise _refusal(f"git {inside.why}, and {path} is under git", "Install git.")
        if _NO_WORK_TREE in words:
            return None
        if inside.code or words.strip() != "true":
            hint = "Run 'git status' in the folder of the file, as the user of this page."
            raise _refusal(f"git does not open the repository of {path}: {_short(inside)}", hint)
        ignored = found._run("check-ignore", "--quiet", "--", path.name).code == 0
        return None if ignored else found

    def check(self) -> None:
        """Raise ConfigError where a commit is not possible now."""
        if self._run("symbolic-ref", "--quiet", "HEAD").code != 0:
            hint = f"{_NOTHING_CHANGED} Run 'git switch BRANCH' in the folder of the file."
            raise _refusal(f"{self._path} is on no branch: a commit would be lost", hint)
        lock = self._run("rev-parse", "--git-path", "index.lock")
        place = self._path.parent / lock.output.decode("utf-8", "replace").strip()
        if lock.code == 0 and place.exists():
            hint = "Another git command runs, or one was ended. If none runs, remove index.lock."
            raise _refusal(f"git is locked by {place}", f"{_NOTHING_CHANGED} {hint}")

    @property
    def differs(self) -> bool:
        """Whether the file on disk is not the one of the last commit."""
        state = self._run("status", "--porcelain", "--", self._path.name)
        return state.code != 0 or bool(state.output.strip())

    def commit(self, what: Commit) -> str:
        """Commit the file and nothing else; return the short name of the commit.

        Raises
        ------
        ConfigError
            Where git or a hook refuses, with its words. The index is as it was.
        """
        name = self._path.name
        known = self._run("ls-files", "--error-unmatch", "--", name).code == 0
        added = None if known else self._run("add", "--intent-to-add", "--", name)
        if added is not None and added.code != 0:
            raise _refusal(f"git does not add {self._path}: {_short(added)}", _NOTHING_CHANGED)
        words = [
            "commit",
            "--only",
            "--quiet",
            "--allow-empty-message",
            f"--message={what.message}",
        ]
        author = _person(what.author)
        words += [f"--author={author} <>"] if author else []
        done = self._run(*self._committer(), *words, "--", name, limit="git-commit")
        if done.code != 0:
            if not known:
                self._run("rm", "--cached", "--quiet", "--force", "--", name)
            raise _refusal(f"git did not accept the change: {_short(done)}", _NOTHING_CHANGED)
        head = self._run("rev-parse", "--short=12", "HEAD")
        return head.output.decode("ascii", "replace").strip()

    def _committer(self) -> list[str]:
        """Return the options that name a committer, where the configuration of git names none."""
        if self._run("var", "GIT_COMMITTER_IDENT").code == 0 and self._has("user.name"):
            return []
        return ["-c", f"user.name={SERVICE}", "-c", f"user.email={SERVICE}@localhost"]

    def _has(self, key: str) -> bool:
        return self._run("config", "--get", key).code == 0

    def _run(self, *words: str, limit: str = "git") -> ProgramResult:
        command = ["git", "-C", str(self._path.parent), *words]
        return run_program(command, EXCHANGES[limit], environment=_QUIET, with_errors=True)


def _person(name: str) -> str:
    """Return a name as git keeps it.

    >>> _person(" Dr. A <b>"), _person("")
    ('Dr. A b', '')
    """
    return " ".join(re.sub(r"[<>\x00-\x1f\x7f]", "", name).split())[:100]


def _words(result: ProgramResult) -> str:
    return result.output.decode("utf-8", "replace")


def _short(result: ProgramResult) -> str:
    """Return what git or a hook said, without control characters."""
    if result.code is None:
        return f"it {result.why}"
    lines = [plain(_ESCAPE.sub("", line)).strip() for line in _words(result).splitlines()]
    said = "; ".join([line for line in lines if line][:_MOST_LINES])[:_MOST_CHARACTERS]
    return said or f"exit {result.code}"


def _refusal(what: str, hint: str) -> ConfigError:
    return ConfigError(what, hint=hint)
