"""`deliver.targets` in the settings: what each key means, and every mistake with its place."""

import re
from pathlib import Path

import pytest

from drawcli.config.sections_targets import Target
from drawcli.operations.setting_texts import setting_plain, setting_text
from tests.config.test_load import ENOUGH, load, problems

ROOT = Path(__file__).resolve().parents[2]
LISTED = """\
deliver:
  targets:
    - {folder: "tps/{patient_id}"}
    - {node: E@h:104, tls: {ca_file: ca.pem}, commitment: true}
    - {stow: "https://pacs.example/dicom-web/", required: no, token_command: "cat x"}
    - {node: F@h:104, tls: true}
"""


def test_a_list_has_paths_beside_the_settings_and_defaults(tmp_path: Path) -> None:
    folder, node, stow, other = load(tmp_path, ENOUGH + LISTED).deliver.targets

    assert folder.folder == tmp_path / "tps/{patient_id}"
    assert node.tls is not None
    assert node.tls.ca_file == tmp_path / "ca.pem"
    assert (node.required, node.commitment, stow.required) == (True, True, False)
    assert (stow.stow, stow.token_command) == ("https://pacs.example/dicom-web", ["cat", "x"])
    assert other.tls is not None
    assert other.tls.ca_file is None


def test_every_mistake_in_a_list_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        ENOUGH
        + """\
deliver:
  targets:
    - {folder: "/tps/{patent}"}
    - {node: ECLIPSE, commitment: 3}
    - {node: E@h:104, tls: {ca: x}}
    - {node: E@h:104, token_command: cat x, allow_http: yes}
    - {stow: "http://pacs.example/dicom-web"}
    - {stow: "https://user@pacs.example/"}
    - {stow: "https://a/b", node: X@h:1}
    - {requird: no}
    - {stow: "https://a/b", token_file: x, token_command: y, tls: {key: x}}
""",
    )

    assert [line.split(": ", 1)[0] for line in told] == [
        f"drawcli.yaml:{place}"
        for place in ("5:8", "6:8", "6:23", "7:29", "8:7", "9:7", "10:8", "11:7", "12:8", "13:62")
    ]
    whole = "\n".join(told)
    for words in (
        "'deliver.targets.0.folder' may contain {patient_id}",
        "token_command is for stow only; allow_http is for stow only",
        "plain http is not encrypted",
        "without a user",
        "exactly one of folder, node, stow",
        "did you mean 'required'?",
    ):
        assert words in whole


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{folder: /x, targets: [{folder: /y}]}", "put folder into targets"),
        ("{node: 'A@h:1', targets: [{folder: /y}]}", "put node into targets"),
        ("{targets: [{folder: /y, required: no}]}", "at least one"),
        ("{use: first, targets: [{folder: /y, required: yes}]}", "leave out required"),
        ("{use: any, targets: [{folder: /y}]}", "'all' or 'first'"),
        ("{targets: [{folder: /y}, {folder: /y}]}", "are the same"),
        ("{targets: [{stow: 'https://a/b'}, {stow: 'https://a/b/'}]}", "are the same"),
        ("{targets: [{stow: 'https://a', token_file: x, token_command: y}]}", "choose one"),
        ("{targets: [{sender: yes}]}", "needs the table senders"),
        ("{targets: [{folder: /x}], senders: {CT1: CT1}}", "AE_TITLE@host:port"),
        ("{targets: [{stow: 'http://localhost', tls: true}]}", "https"),
        ("{targets: [{node: A@h:1, tls: {key: x}}]}", "set both"),
    ],
)
def test_targets_that_contradict_each_other_are_refused(
    tmp_path: Path, line: str, why: str
) -> None:
    (told,) = problems(tmp_path, f"{ENOUGH}deliver: {line}\n")

    assert why in told


def test_no_view_of_the_settings_shows_the_arguments_of_a_token_command(tmp_path: Path) -> None:
    settings = load(tmp_path, ENOUGH + LISTED.replace("cat x", "vault s3cret"))
    plain = settings.as_plain()["deliver"]["targets"]

    assert "s3cret" not in setting_text("targets", plain)
    assert "https://pacs.example/dicom-web" in setting_text("targets", plain)
    assert "s3cret" not in str(setting_plain("targets", plain))


def test_the_page_of_targets_has_every_key() -> None:
    page = (ROOT / "docs/how-to/delivery-targets.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`[^|]+) \|", page, re.MULTILINE)
    listed = set(re.findall(r"`(\w+)`", " ".join(cells)))

    assert set(Target.fields) - listed == set(), (
        "add rows to the table of docs/how-to/delivery-targets.md"
    )
