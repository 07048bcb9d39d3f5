"""The hospital documents are what the code does: connections, packages, files, settings."""

import ast
import re
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from packaging.utils import canonicalize_name

import drawcli
from drawcli.adapters.messages import sent
from drawcli.adapters.state import audit_log, run_log
from drawcli.dashboard.access.password import SHORTEST
from drawcli.system.limits import EXCHANGES
from tests.hospital import soup
from tests.hospital.flow_pages import data_flow_picture
from tests.hospital.flows import FLOWS, Data, unplaced
from tests.test_architecture import OUTSIDE

ROOT = Path(__file__).parents[2]
PACKAGE = Path(drawcli.__file__).parent
FOLDER = ROOT / "docs" / "hospital"
SETTINGS = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
COMMANDS = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
PAGES = sorted(FOLDER.glob("*.md"))
TOPICS = (
    "identifiable data",
    "Automatic logoff",
    "Audit controls",
    "Authorization",
    "upgrades",
    "Backup",
    "Emergency access",
    "Integrity",
    "Malware",
    "Node authentication",
    "Connectivity",
    "Physical locks",
    "Third-party components, SBOM",
    "Hardening and guidance",
    "Confidentiality and integrity of transmission",
)


def text(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def test_every_exchange_of_the_code_is_in_one_connection() -> None:
    assert unplaced() == set()


def test_every_connection_has_limits() -> None:
    assert [flow.peer for flow in FLOWS if not flow.exchanges] == []


def test_only_de_identified_data_leave_the_hospital() -> None:
    outside = [flow for flow in FLOWS if flow.may_be_outside]

    assert {flow.data for flow in outside} == {Data.PSEUDONYMOUS, Data.NONE}
    sent = {flow.peer: flow for flow in outside if flow.data is Data.PSEUDONYMOUS}
    assert list(sent) == ["DRAW server", "shared storage of several machines"]
    assert sent["shared storage of several machines"].protection.startswith("sealed")
    assert outside == [*FLOWS[: len(outside)]]  # the picture has them above the others
    assert EXCHANGES["upload"].peer == "DRAW server"
    assert not any(flow.is_inwards for flow in outside)


def test_the_picture_is_whole_and_fetches_nothing() -> None:
    tree = ET.fromstring(data_flow_picture())  # noqa: S314 - our own text
    words = " ".join(tree.itertext())

    assert all(flow.peer in words for flow in FLOWS)
    assert not re.search(r"(?:url\(|href=)[^)>]*https?:|<script", data_flow_picture())


def test_every_package_has_a_requirement_and_a_place() -> None:
    named = {one.name for one in soup.packages()}
    modules = {
        module for name in named for module in soup.IMPORTED_AS.get(name, (name.replace("-", "_"),))
    }

    assert soup.REQUIREMENTS.keys() == named
    assert modules - {name.replace("-", "_") for name in soup.BY_OTHERS} == OUTSIDE.keys() - {
        "pytest"  # of whoever tests rules with it
    }
    for one in soup.packages():
        assert one.places or one.name in soup.BY_OTHERS, one.name


def test_every_wheel_with_libraries_of_others_is_named() -> None:
    known, bundling = soup.locked(), set()
    for one in metadata.distributions():
        name = canonicalize_name(one.metadata["Name"])
        if name in known and any("libs/" in str(file) for file in one.files or ()):
            bundling.add(name)

    assert bundling
    assert bundling - soup.NATIVE.keys() == set()
    assert soup.NATIVE.keys() - known.keys() == set()


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_has_questions_with_answers(topic: str) -> None:
    title = next(line for line in text("security-answers").splitlines() if topic in line)
    section = text("security-answers").partition(f"{title}\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]

    assert title.startswith("## ")
    assert rows
    assert all(len(row) == 3 and len(row[1]) > 8 for row in rows)


def test_there_are_twenty_questions() -> None:
    assert re.findall(r"^\| (\d+) \|", text("index"), re.MULTILINE) == [
        str(number) for number in range(1, 21)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.stem))
def test_commands_options_and_settings_that_a_page_names_exist(page: Path) -> None:
    words = page.read_text(encoding="utf-8")
    names = set(re.findall(r"^#+ drawcli ([a-z -]+?)$", COMMANDS, re.MULTILINE))
    sections = "|".join(sorted(set(re.findall(r"^\| `([a-z]+)\.", SETTINGS, re.MULTILINE))))
    settings = set(re.findall(rf"`((?:{sections})\.[a-z_]+)(?:`|:)", words))

    for line in re.findall(r"`drawcli ([a-z][^`]*)`", words):
        parts = line.split()
        known = [one for one in (" ".join(parts[:2]), parts[0]) if one in names]
        assert known, line
        for option in re.findall(r"--[a-z-]+", line):
            section = COMMANDS.partition(f"# drawcli {known[0]}\n")[2].partition("\n#")[0]
            common = COMMANDS.partition("| common option")[2].partition("\n\n")[0]
            assert f"`{option}`" in section + common, line
    files = {"ledger.json", "alarms.json", "silence.json", "messages.jsonl", "pull.sqlite"}
    assert [one for one in settings - files if f"| `{one}` |" not in SETTINGS] == []


def constants(name: str, *folders: str) -> set[str]:
    """Return the values of a constant in the modules of folders of the package."""
    return {
        node.value.value
        for folder in folders
        for path in (PACKAGE / folder).rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.target.id == name
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def test_every_file_of_the_state_is_in_the_table() -> None:
    folders_with_files = ("adapters/state", "adapters/messages", "adapters/receive_folder")
    files = constants("FILE_NAME", *folders_with_files, "operations")
    folders = constants("FOLDER", "adapters/state", "adapters/dicom_network")

    assert len(files) > 8
    assert len(folders) > 3
    names = {*files, *(f"{name}/" for name in folders)}
    assert [name for name in sorted(names) if name not in text("retention")] == []


def test_the_numbers_of_the_pages_are_those_of_the_code() -> None:
    assert (audit_log._LARGEST, run_log._LARGEST, sent._LARGEST) == (8_000_000, 2_000_000, 500_000)
    assert f"{SHORTEST} characters or more" in text("security-answers")
    for name, default in re.findall(r"`([a-z]+\.[a-z_]+)` \((\d+)\)", text("retention")):
        assert f"| `{name}` | `{default}` |" in SETTINGS, name
    for name, default in re.findall(r"`([a-z]+\.[a-z_]+)` \((\d+)\)", text("security-answers")):
        assert f"| `{name}` | `{default}` |" in SETTINGS, name
