from datetime import UTC, datetime

from drawcli.core.jobs.shared_files import FileChanges, HostFiles, SharedFile, is_small

NAMES = {
    "vault": True,
    "template.yml": True,
    "report.json": True,
    ".report.json.7.tmp": False,
    ".report.json": False,
    "report.json.gz": False,
    "package.zip": False,
    "received.dcm": False,
}


def test_small_files_go_into_the_database_and_unfinished_ones_nowhere() -> None:
    assert {name: is_small(name) for name in NAMES} == NAMES


def test_a_file_on_a_host_is_named_with_it() -> None:
    assert SharedFile.on("ct-1", "s1") == SharedFile("s1", "@ct-1")
    assert [SharedFile("d", place).host for place in ("@ct-1", "", "site/ab12")] == ["ct-1", "", ""]


def test_changes_drop_keep_and_replace_entries() -> None:
    old, new = SharedFile("d1"), SharedFile("d2")
    changes = FileChanges({"vault": new, "a.json": new}, {}, frozenset({"package.zip"}), "")

    after = changes.applied({"vault": old, "package.zip": old, "b.json": old})

    assert after == {"vault": new, "a.json": new, "b.json": old}


def test_a_site_with_one_machine_shares_no_files() -> None:
    files = HostFiles()

    assert (files.host, files.home_of("job-1"), files.probe()) == ("", "", "")
    assert files.elsewhere() == files.elsewhere("job-1") == {}
    assert files.unseen() == files.old(datetime(2026, 1, 1, tzinfo=UTC)) == []
