"""The site key by a command, as of a KMS."""

import sys
from pathlib import Path

import pytest

from drawcli.adapters.state.keys.key_source import site_keys
from drawcli.adapters.state.site_key import read_site_key, site_key_path
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.errors import ConfigError
from tests.conftest import Site

OLD = bytes(range(32))


def printing(site: Site, text: str) -> Path:
    """Configure a key command for the site; return the file that counts its calls."""
    calls = site.folder / "calls"
    code = f"open({str(calls)!r}, 'a').write('x'); print({text!r})"
    words = ", ".join(f"'{word}'" for word in (sys.executable, "-c", code.replace("'", "''")))
    site.add_line(f"site_key_command: [{words}]")
    return calls


def test_the_key_is_what_the_command_prints_and_is_read_once(site: Site) -> None:
    key = read_site_key(site.state)
    site_key_path(site.state).unlink()
    calls = printing(site, f"{key.hex()}\n{OLD.hex()}")

    first, second = (site_keys(site.settings()) for _ in range(2))

    assert first.key == second.key == key
    assert first.retired == {StandIns(OLD).key_id: OLD}
    assert calls.read_text() == "x"
    left = b"".join(path.read_bytes() for path in site.state.rglob("*") if path.is_file())
    assert key.hex().encode() not in left


def test_a_key_file_beside_a_key_command_is_refused(site: Site) -> None:
    printing(site, OLD.hex())

    with pytest.raises(ConfigError, match="site_key_command is set"):
        site_keys(site.settings())


@pytest.mark.parametrize("text", ["", "no key", "abcd", f"{OLD.hex()}\nabcd"])
def test_output_that_is_not_a_key_is_refused_and_not_shown(site: Site, text: str) -> None:
    site_key_path(site.state).unlink()
    printing(site, text)

    with pytest.raises(ConfigError, match="not a site key") as refused:
        site_keys(site.settings())

    assert "abcd" not in str(refused.value)


def test_a_command_that_fails_is_named(site: Site) -> None:
    site_key_path(site.state).unlink()
    site.add_line(f"site_key_command: ['{sys.executable}', '-c', 'raise SystemExit(3)']")

    with pytest.raises(ConfigError, match="site_key_command exited with 3"):
        site_keys(site.settings())
