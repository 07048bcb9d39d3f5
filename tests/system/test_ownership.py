"""Files of a site belong to the user who runs it, and a wrong owner is named."""

import os
import sys
from pathlib import Path

import pytest

from drawcli.adapters.state.site_key import make_site_key, read_site_key
from drawcli.errors import ConfigError
from drawcli.system.ownership import end_as_owner, give_to_owner, owner_hint, user_name

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="owners of POSIX")
as_root = pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="needs root")
OTHER = 65_432  # a user without a name


def test_the_hint_names_owner_and_user_and_what_to_call(tmp_path: Path) -> None:
    hint = owner_hint(tmp_path / "none" / "site.key")

    assert hint.startswith(f"{tmp_path} belongs to {tmp_path.owner()}, and this is {user_name()}")
    assert f"sudo chown -R {user_name()} {tmp_path}" in hint


def test_a_key_that_only_has_another_owner_is_not_to_be_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_site_key(tmp_path)

    def closed(*_: object, **__: object) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", closed)
    with pytest.raises(ConfigError, match="this user may not read it") as caught:
        read_site_key(tmp_path)

    assert "belongs to" in caught.value.hint
    assert "backup" not in caught.value.hint


@as_root
def test_what_root_has_written_goes_to_the_owner_of_the_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, token, apart = tmp_path / "state", tmp_path / "token.json", tmp_path / "apart"
    (state / "work").mkdir(parents=True)
    for path in (state / "work" / "vault", state / "two", token, apart):
        path.touch()
    (state / "link").symlink_to(apart)
    (tmp_path / "second name").hardlink_to(state / "two")
    os.chown(state, OTHER, OTHER)
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr("atexit.register", lambda *words: asked.append(words))

    end_as_owner(state, token)
    end_as_owner(tmp_path)  # root's own
    give_to_owner(state, token)

    assert asked == [(give_to_owner, state, token)]
    owners = {path.name: path.lstat().st_uid for path in (*state.rglob("*"), token, apart)}
    assert owners == {
        "work": OTHER, "vault": OTHER, "token.json": OTHER, "two": 0, "link": 0, "apart": 0
    }  # fmt: skip
