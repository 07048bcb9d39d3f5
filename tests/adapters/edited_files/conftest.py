"""A rules file, in a folder and in a work tree of git."""

import subprocess
from pathlib import Path

import pytest

TEXT = b"rules:\n  - name: a\n"
NEW = b"rules:\n  - name: b\n"


def git(folder: Path, *words: str) -> str:
    """Run git in a folder; return what it prints."""
    identity = ["-c", "user.name=Site", "-c", "user.email=site@example"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *words], capture_output=True, check=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file that is not under git."""
    path = tmp_path / "site" / "rules.yaml"
    path.parent.mkdir()
    path.write_bytes(TEXT)
    return path


@pytest.fixture
def kept(file: Path) -> Path:
    """Return a file that git keeps, beside another one."""
    (file.parent / "other.yaml").write_bytes(TEXT)
    git(file.parent, "init", "--quiet", "--initial-branch=main")
    git(file.parent, "add", ".")
    git(file.parent, "commit", "--quiet", "--message=first")
    return file


def hook(folder: Path, *lines: str) -> None:
    """Write a hook of git that runs before each commit."""
    path = folder / ".git" / "hooks" / "pre-commit"
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="utf-8")
    path.chmod(0o755)
