"""A file is saved whole, only on what was read, and only with its commit."""

import os
import stat
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from drawcli.adapters.edited_files import saving
from drawcli.adapters.edited_files.git_commit import Commit
from drawcli.adapters.edited_files.saving import ChangedMeanwhile, Saved, digest_of, save_file
from drawcli.errors import ConfigError, DiskFull, DrawcliError
from drawcli.system.limits import EXCHANGES
from tests.adapters.edited_files.conftest import NEW, TEXT, git, hook

WHAT = Commit("Dr. Ada Müller", "Change rule a")
needs_modes = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="modes do not stop this user"
)


def save(path: Path, tmp_path: Path, *, source: bytes = NEW, before: bytes = TEXT) -> Saved:
    return save_file(
        path,
        expected=digest_of(before),
        source=source,
        what=WHAT,
        state_dir=tmp_path / "state",
    )


def test_a_file_outside_git_is_saved(file: Path, tmp_path: Path) -> None:
    file.chmod(0o664)
    before = file.stat()

    saved = save(file, tmp_path)

    assert saved == Saved(digest_of(NEW), "")
    assert file.read_bytes() == NEW
    assert stat.S_IMODE(file.stat().st_mode) == 0o664  # whatever the umask
    assert file.stat().st_gid == before.st_gid
    assert [path.name for path in file.parent.iterdir()] == ["rules.yaml"]


def test_a_symbolic_link_stays_one(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "rules.yaml"
    link.symlink_to(file)

    save(link, tmp_path)

    assert link.is_symlink()
    assert file.read_bytes() == NEW


def test_a_file_that_changed_meanwhile_is_kept(kept: Path, tmp_path: Path) -> None:
    kept.write_bytes(b"rules: []\n")
    head = git(kept.parent, "rev-parse", "HEAD")

    with pytest.raises(ChangedMeanwhile):
        save(kept, tmp_path)

    assert kept.read_bytes() == b"rules: []\n"
    assert git(kept.parent, "rev-parse", "HEAD") == head


def test_the_commit_has_the_user_as_author_and_this_file_only(kept: Path, tmp_path: Path) -> None:
    (kept.parent / "other.yaml").write_bytes(b"staged\n")
    git(kept.parent, "add", "other.yaml")

    saved = save(kept, tmp_path)

    assert saved.commit == git(kept.parent, "rev-parse", "--short=12", "HEAD")
    told = git(kept.parent, "log", "-1", "--format=%an|%s|%cn", "--name-only")
    author, *files = told.split("\n")
    assert author.startswith("Dr. Ada Müller|Change rule a|")
    assert not author.endswith("Dr. Ada Müller")
    assert [name for name in files if name] == ["rules.yaml"]
    assert git(kept.parent, "status", "--porcelain") == "M  other.yaml"


def test_what_others_changed_is_a_commit_of_its_own(kept: Path, tmp_path: Path) -> None:
    kept.write_bytes(b"rules: []\n")

    save(kept, tmp_path, before=b"rules: []\n")

    told = git(kept.parent, "log", "-2", "--format=%an|%s").split("\n")
    assert told[0] == "Dr. Ada Müller|Change rule a"
    assert told[1].endswith("|rules.yaml as it was changed outside the page")
    assert "Ada" not in told[1]


def test_a_file_that_git_does_not_know_yet_is_added(kept: Path, tmp_path: Path) -> None:
    new = kept.parent / "new.yaml"
    new.write_bytes(TEXT)

    assert save(new, tmp_path).commit
    assert git(kept.parent, "status", "--porcelain") == ""


def test_the_first_commit_of_a_repository(file: Path, tmp_path: Path) -> None:
    git(file.parent, "init", "--quiet")

    assert save(file, tmp_path).commit


def test_an_ignored_file_is_saved_without_a_commit(kept: Path, tmp_path: Path) -> None:
    (kept.parent / ".gitignore").write_text("own.yaml\n", encoding="utf-8")
    own = kept.parent / "own.yaml"
    own.write_bytes(TEXT)

    assert save(own, tmp_path).commit == ""
    assert own.read_bytes() == NEW


def failed(path: Path, tmp_path: Path, **given: Any) -> str:
    """Save a file, which is refused; return the message."""
    with pytest.raises(DrawcliError) as caught:
        save(path, tmp_path, **given)
    return f"{caught.value} {caught.value.hint}"


def test_a_hook_that_refuses_puts_the_file_back(kept: Path, tmp_path: Path) -> None:
    hook(kept.parent, "echo '2 tests \x1b[31mfailed' >&2", "exit 1")
    (kept.parent / "other.yaml").write_bytes(b"staged\n")
    git(kept.parent, "add", "other.yaml")

    message = failed(kept, tmp_path)

    assert "2 tests failed" in message
    assert kept.read_bytes() == TEXT
    assert git(kept.parent, "status", "--porcelain") == "M  other.yaml"
    assert git(kept.parent, "log", "--format=%s") == "first"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("while :; do printf a; sleep .01; done", "did not end within"),
        ("exec cat /dev/zero", "printed more than"),
    ],
    ids=["drips", "floods"],
)
def test_a_hook_without_end_is_ended(
    script: str, said: str, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook(kept.parent, script)
    limit = EXCHANGES["git-commit"]
    short = limit._replace(seconds=1.0 if "sleep" in script else limit.seconds)
    with monkeypatch.context() as patch:
        patch.setitem(EXCHANGES, "git-commit", short)
        message = failed(kept, tmp_path)

    assert said in message
    assert kept.read_bytes() == TEXT
    hook(kept.parent, "exit 0")
    assert save(kept, tmp_path).commit


def test_a_hook_that_refuses_a_new_file_leaves_it_unknown(kept: Path, tmp_path: Path) -> None:
    hook(kept.parent, "exit 1")
    new = kept.parent / "new.yaml"
    new.write_bytes(TEXT)

    failed(new, tmp_path)

    assert git(kept.parent, "status", "--porcelain") == "?? new.yaml"


def test_a_hook_that_changes_the_file_is_reported(kept: Path, tmp_path: Path) -> None:
    hook(kept.parent, "echo '# formatted' >> rules.yaml")

    assert "changed by another program" in failed(kept, tmp_path)


def test_a_save_without_a_branch_is_refused(kept: Path, tmp_path: Path) -> None:
    git(kept.parent, "checkout", "--quiet", "--detach")

    assert "is on no branch" in failed(kept, tmp_path)
    assert kept.read_bytes() == TEXT


def test_a_save_into_a_locked_repository_is_refused(kept: Path, tmp_path: Path) -> None:
    (kept.parent / ".git" / "index.lock").touch()

    assert "index.lock" in failed(kept, tmp_path)
    assert kept.read_bytes() == TEXT


def test_a_save_into_a_bare_repository_is_refused(kept: Path, tmp_path: Path) -> None:
    git(kept.parent, "config", "core.bare", "true")

    assert "git does not open the repository" in failed(kept, tmp_path)
    assert kept.read_bytes() == TEXT


def test_a_save_into_a_repository_of_another_user_is_refused(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")

    assert "dubious ownership" in failed(kept, tmp_path)
    assert kept.read_bytes() == TEXT


def test_a_save_without_git_is_refused(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "cannot be started" in failed(kept, tmp_path)
    assert kept.read_bytes() == TEXT


def test_a_damaged_git_folder_is_ignored(file: Path, tmp_path: Path) -> None:
    (file.parent / ".git").mkdir()

    assert save(file, tmp_path).commit == ""


def test_a_save_during_a_merge_is_refused(kept: Path, tmp_path: Path) -> None:
    git(kept.parent, "switch", "--quiet", "--create", "side")
    git(kept.parent, "commit", "--quiet", "--allow-empty", "--message=side")
    git(kept.parent, "switch", "--quiet", "main")
    git(kept.parent, "merge", "--quiet", "--no-ff", "--no-commit", "side")

    assert "merge" in failed(kept, tmp_path)
    assert kept.read_bytes() == TEXT


@needs_modes
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_may_not_be_written(kept: Path, tmp_path: Path, what: str) -> None:
    place = kept if what == "file" else kept.parent
    place.chmod(0o444 if what == "file" else 0o555)

    assert f"may not write the {what}" in failed(kept, tmp_path)
    place.chmod(0o755)
    assert kept.read_bytes() == TEXT


def test_a_full_disk(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "_keep_owner", full)
    with pytest.raises(DiskFull):
        save(kept, tmp_path)

    assert kept.read_bytes() == TEXT
    assert git(kept.parent, "status", "--porcelain") == ""


def test_a_text_that_is_too_large_is_refused(file: Path, tmp_path: Path) -> None:
    assert "larger than" in failed(file, tmp_path, source=b"#" * 1_000_001)


def test_of_many_saves_at_once_one_wins(kept: Path, tmp_path: Path) -> None:
    outcomes: list[str] = []

    def attempt(number: int) -> None:
        try:
            save(kept, tmp_path, source=b"rules: []  # %d\n" % number)
            outcomes.append("saved")
        except ConfigError as err:
            outcomes.append(str(err))
        except ChangedMeanwhile:
            outcomes.append("changed meanwhile")

    threads = [Thread(target=attempt, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["changed meanwhile"] * 3 + ["saved"]
    assert git(kept.parent, "rev-list", "--count", "HEAD") == "2"
