"""key and vault, as a physicist and a data protection officer use them."""

from pathlib import Path

import pytest

from drawcli.adapters.state.audit_log import AuditLog
from drawcli.adapters.state.keys import key_source
from drawcli.adapters.state.workdir import VAULT
from drawcli.sandbox.patients import identifying_values
from tests.cli.conftest import Run, at_terminal
from tests.conftest import PELVIS, Site


@pytest.fixture
def job(drawcli: Run, pelvis: list[Path]) -> str:
    """Build a package; return the id of its job."""
    assert pelvis
    for step in ("scan", "match", "deidentify"):
        assert drawcli(step).code == 0
    (one,) = drawcli("status", "--json").answer["data"]["jobs"]
    return str(one["id"])


def keys(site: Site) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in site.state.glob("site.key*")}


def test_a_key_is_made_once(drawcli: Run, site: Site) -> None:
    (site.state / "site.key").unlink()

    first, second = drawcli("key", "init"), drawcli("key", "init")

    assert (first.code, second.code) == (0, 0)
    assert first.out.startswith("made  ")
    assert second.out == "kept" + first.out.removeprefix("made")
    assert len(keys(site)) == 1


def test_a_lost_key_is_not_made_anew(drawcli: Run, site: Site, job: str) -> None:
    assert job
    (site.state / "site.key").unlink()

    ended = drawcli("key", "init")

    assert ended.code == 3
    assert "the site key is missing" in ended.err
    assert keys(site) == {}


def test_the_status_tells_keys_apart_and_shows_none(drawcli: Run, site: Site, job: str) -> None:
    assert job
    assert drawcli("key", "rotate").code == 0

    ended = drawcli("key", "status")

    assert ended.code == 0
    lines = [line.split() for line in ended.out.splitlines()[1:3]]
    assert [line[1:] for line in lines] == [["of", "today", "0"], ["retired", "1"]]
    for content in keys(site).values():
        assert content.decode().strip() not in ended.out


@pytest.mark.parametrize("damage", ["gone", "others", "half", "another"])
def test_a_key_that_cannot_be_used_is_3_and_sends_nothing(
    drawcli: Run, site: Site, job: str, damage: str
) -> None:
    assert job
    path = site.state / "site.key"
    if damage == "gone":
        path.unlink()
    elif damage == "others":
        path.chmod(0o640)
    else:
        path.write_text("00" * (32 if damage == "another" else 20))

    for words in (["key", "status"], ["upload"], ["run-once"], ["vault", "show", job]):
        ended = drawcli(*words)
        assert ended.code == 3, words
        assert "site.key" in ended.err or "site key" in ended.err


def test_a_rotation_tells_what_to_do_next(drawcli: Run, site: Site, job: str) -> None:
    assert job
    before = keys(site)

    planned = drawcli("key", "rotate", "--dry-run")
    assert keys(site) == before
    ended = drawcli("key", "rotate")

    assert (planned.code, ended.code) == (0, 0)
    assert "would be retired" in planned.out
    assert "1 vaults sealed anew" in ended.out
    assert "drawcli key backup FILE" in ended.out
    assert before["site.key"] in keys(site).values()
    assert keys(site)["site.key"] != before["site.key"]


def test_keys_go_into_a_backup_and_back(drawcli: Run, site: Site, job: str) -> None:
    assert drawcli("key", "rotate").code == 0
    before = keys(site)

    ended = drawcli("key", "backup", "keys.txt")
    for name in before:
        (site.state / name).unlink()
    back = drawcli("key", "restore", "keys.txt")

    assert (ended.code, back.code) == (0, 0)
    assert "2 keys written" in ended.out
    assert keys(site) == before
    assert drawcli("vault", "show", job).code == 0


def test_a_backup_does_not_lie_beside_the_images(drawcli: Run, site: Site) -> None:
    ended = drawcli("key", "backup", "store/keys.txt")

    assert ended.code == 2
    assert list(site.store.iterdir()) == []
    assert recorded(site) == []


def recorded(site: Site) -> list[str]:
    return [str(line.facts["action"]) for line in AuditLog(site.state).lines()]


def test_who_took_or_changed_the_key_is_in_the_audit_log(drawcli: Run, site: Site) -> None:
    assert drawcli("key", "rotate", "--dry-run").code == 0
    assert recorded(site) == []

    assert drawcli("key", "backup", "keys.txt").code == 0
    assert drawcli("key", "rotate").code == 0

    assert recorded(site) == ["key-backup", "key-rotate"]


def test_a_key_is_not_handed_out_without_a_record(drawcli: Run, site: Site) -> None:
    before = keys(site)
    (site.state / "audit").write_text("no folder")

    taken, rotated = drawcli("key", "backup", "keys.txt"), drawcli("key", "rotate")

    assert taken.code != 0
    assert rotated.code != 0
    assert not (site.folder / "keys.txt").exists()
    assert keys(site) == before


def test_a_vault_is_shown_without_saying_whose_it_is(drawcli: Run, job: str) -> None:
    ended, as_json = drawcli("vault", "show", job), drawcli("vault", "show", job, "--json")

    assert (ended.code, as_json.code) == (0, 0)
    facts = as_json.answer["data"]
    assert as_json.answer["command"] == "vault show"
    assert facts["files"] == 6
    assert facts["patient"].startswith("DEID-")
    said = ended.out + as_json.out
    assert [value for value in identifying_values(PELVIS) if value in said] == []


def test_whose_a_vault_is_is_told_on_a_terminal_and_written_down(
    drawcli: Run, site: Site, job: str
) -> None:
    assert drawcli("vault", "show", job, "--identify").code == 2

    said = at_terminal(site, "vault", "show", job, "--identify")

    assert PELVIS.patient_id in said
    assert PELVIS.birth_date in said
    events = drawcli("show", job, "--json").answer["data"]["events"]
    assert [event["what"] for event in events].count("identified") == 1


def test_a_lost_vault_is_rebuilt(drawcli: Run, site: Site, job: str) -> None:
    before = drawcli("vault", "show", job, "--json").answer["data"]
    (vault,) = site.state.rglob(VAULT)
    vault.unlink()
    assert drawcli("vault", "show", job).code == 6

    ended = drawcli("vault", "rebuild", job)

    assert (ended.code, ended.err) == (0, "")
    after = drawcli("vault", "show", job, "--json").answer["data"]
    same = set(before) - {"sealed", "bytes"}
    assert {key: before[key] for key in same} == {key: after[key] for key in same}


def test_a_vault_that_cannot_be_rebuilt_says_why(
    drawcli: Run, site: Site, pelvis: list[Path], job: str
) -> None:
    (vault,) = site.state.rglob(VAULT)
    vault.unlink()
    pelvis[0].unlink()

    ended = drawcli("vault", "rebuild", job)

    assert ended.code == 6
    assert "cannot be rebuilt: the series had 6 files and has 5" in ended.err
    assert not vault.exists()


def by_command(site: Site, *texts: str) -> None:
    """Configure a command that prints the keys instead of the file."""
    (site.folder / "keys").write_text("\n".join(texts))
    (site.state / "site.key").unlink()
    site.add_line(f"site_key_command: [cat, '{site.folder / 'keys'}']")


def test_every_command_has_the_key_of_the_site_key_command(
    drawcli: Run, site: Site, job: str, tmp_path: Path
) -> None:
    before = (site.state / "site.key").read_text()
    by_command(site, before)

    assert drawcli("vault", "show", job).code == 0
    assert drawcli("key", "init").out.startswith("kept  site_key_command")
    assert drawcli("key", "status").code == 0
    assert drawcli("key", "backup", str(tmp_path / "kept")).code == 0
    assert "PASS  site key      site_key_command" in drawcli("doctor").out
    assert before.strip() in (tmp_path / "kept").read_text()
    assert not (site.state / "site.key").exists()


def test_a_key_of_a_command_is_rotated_where_it_comes_from(
    drawcli: Run, site: Site, job: str
) -> None:
    before = (site.state / "site.key").read_text()
    by_command(site, before)
    refused = drawcli("key", "rotate")
    assert refused.code == 2
    assert "print a new key" in refused.err
    assert drawcli("key", "restore", str(site.folder / "keys")).code == 2

    (site.folder / "keys").write_text("07" * 32 + "\n" + before)
    key_source._printed.cache_clear()  # another process
    rotated = drawcli("key", "rotate", "--json").answer["data"]

    assert rotated["vaults_sealed"] == 1
    assert drawcli("vault", "show", job).code == 0
    assert keys(site) == {}
