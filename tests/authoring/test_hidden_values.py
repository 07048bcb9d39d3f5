"""Values of patients in rules are found by their place, however they are written."""

from pathlib import Path

import pytest

from drawcli.authoring.hidden_values import has_hidden_values, shown_source
from drawcli.system.yaml_read import Document, parse_yaml

HEAD = "rules:\n  - name: a\n    template: T\n    when:\n      all:\n        - Modality: CT\n"


def parsed(text: str) -> Document:
    return parse_yaml(Path("rules.yaml"), text.encode())


@pytest.mark.parametrize(
    ("condition", "shown"),
    [
        ("PatientID: X17-4", "PatientID: (hidden)"),
        ("PatientName: 'O''Brien'  # she", "PatientName: (hidden)  # she"),
        (r'PatientName: "M\u00fcller^A"', "PatientName: (hidden)"),
        ("PatientName: {contains: [x]}", "PatientName: {contains: [(hidden)]}"),
        (
            "StudyDate: {between: [2026-01-01, 2026-02-01]}",
            "StudyDate: {between: [(hidden), (hidden)]}",
        ),
        ("InstitutionName: |\n            St.\n            Mary\n", "InstitutionName: (hidden)"),
        ("PatientID: {Kowalski: true}", "PatientID: {(hidden): (hidden)}"),
        ("PatientID: {exists: true}", "PatientID: {exists: true}"),
        ("PatientID: {equals: x, case: true}", "PatientID: {equals: (hidden), case: true}"),
        ("ProtocolName: {contains: 773402199}", "ProtocolName: {contains: (hidden)}"),
        ("ProtocolName: {contains: pelvis}", "ProtocolName: {contains: pelvis}"),
        ("not: {PatientID: [a, b]}", "not: {PatientID: [(hidden), (hidden)]}"),
    ],
)
def test_hidden_values_are_replaced(condition: str, shown: str) -> None:
    document = parsed(f"{HEAD}        - {condition}\n")

    text = shown_source(document).decode()

    assert text.removeprefix(HEAD).strip().removeprefix("- ").split() == shown.split()
    assert text.startswith(HEAD)
    assert has_hidden_values(document, ("rules", 0)) is ("(hidden)" in shown)


def test_values_in_tests_of_the_file_are_hidden() -> None:
    document = parsed("rules: []\ntests:\n  - name: t\n    header: {PatientID: X17}\n")

    assert b"X17" not in shown_source(document)
    assert not has_hidden_values(parsed(HEAD), ("rules", 0))


def test_templates_have_no_hidden_values() -> None:
    text = "templates:\n  T:\n    description: a\n"

    assert shown_source(parsed(text)) == text.encode()
