"""Rules of a former client take and refuse, translated, the same headers as before, or say so."""

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydicom import Dataset
from pydicom.datadict import dictionary_description
from pydicom.multival import MultiValue
from typer.testing import CliRunner

from drawcli.adapters.rulebook.rulebook import read_rulebook
from drawcli.adapters.rulebook.rules_file import RuleReader
from drawcli.authoring.migrate import (
    DIFFERENT,
    LEFT,
    THERE,
    TRANSLATED,
    Migration,
    migrate_to_folder,
    migrate_to_site,
)
from drawcli.cli.commands import app
from drawcli.core.dicom.dictionary import keyword_dict
from drawcli.core.rules.conditions import Condition, RuleHeader, Truth
from drawcli.core.rules.former_client import translate
from drawcli.core.rules.former_test import FormerTest, UntranslatableError
from drawcli.errors import ConfigError, UsageError
from drawcli.system.yaml_read import Document, parse_yaml
from tests.former_export import record

NAMES: dict[str, list[Any]] = {
    "Modality": ["CT", "MR", "", None],
    "ProtocolName": ["RT Pelvis", "rt pelvis 3mm", "007", "7", "", None],
    "StationName": ["1", "1.0", "CT-1", None],
    "SliceThickness": ["3", "3.0", "2.5", "", None],
    "Rows": [512, 256, None],
    "StudyDate": ["20240131", "20250601", "", None],
    "ImageType": [["ORIGINAL", "PRIMARY", "AXIAL"], ["ORIGINAL"], ["DERIVED", "PRIMARY"], None],
    "PixelSpacing": [["0.9", "0.9"], None],
    "OperatorsName": ["Doe^Jane", "Doe", None],
    "PatientSex": ["F", "M", None],
}
WANTED = ["CT", "ct", "pelvis", "RT Pelvis", "007", "7", "1", "3", "3.0", "512", "20240601"]
WANTED += ["ORIGINAL", "AXIAL", "PRIM", "Doe", "F", "RT.Pelvis", "20240131", "2.5"]
ORDER = ["GREATER_THAN", "LESS_THAN", "GREATER_THAN_OR_EQUAL_TO", "LESS_THAN_OR_EQUAL_TO"]
TEXT = ["EQUALS", "NOT_EQUALS"]
TEXT += [
    f"CASE_{case}_STRING_{what}"
    for case in ("SENSITIVE", "INSENSITIVE")
    for what in ("EXACT_MATCH", "CONTAINS", "DOES_NOT_CONTAIN")
]


def of_former(header: Dataset, keyword: str, operator: str, wanted: str) -> bool:
    """Answer as the former client does: on the text that pydicom shows of a value."""
    if keyword not in header:
        return False
    value = header[keyword].value
    text = "" if value is None else str(value)
    if operator in ORDER:
        try:
            one, other = float(text), float(wanted)
        except ValueError:
            return False
        above = {"GREATER_THAN": one > other, "LESS_THAN": one < other}
        return above.get(operator, one >= other if "GREATER" in operator else one <= other)
    if "INSENSITIVE" in operator:
        text, wanted = text.lower(), wanted.lower()
    if "CONTAIN" in operator:
        return (wanted in text) is not operator.endswith("NOT_CONTAIN")
    return (wanted == text) is not (operator == "NOT_EQUALS")


def headers(keyword: str) -> Iterator[tuple[Dataset, RuleHeader]]:
    for value in NAMES[keyword]:
        dataset, values = Dataset(), dict[str, tuple[str, ...]]()
        if value is not None:
            setattr(dataset, keyword, value)
            inner: Any = dataset[keyword].value
            many = list[Any](inner) if isinstance(inner, MultiValue) else [inner]
            values[keyword] = tuple("" if one is None else str(one) for one in many)
        yield dataset, RuleHeader(values)


def condition(when: dict[str, Any]) -> Condition:
    """Return a condition as our reader of rules takes it."""
    problems: list[str] = []
    entry = {"name": "r", "template": "T", "when": when}
    rule = RuleReader(parse_yaml(Path("r.yaml"), b"rules:\n"), None, problems).read(entry, ())
    assert rule is not None, problems
    return rule.when


def fires(when: Condition, series: RuleHeader) -> bool:
    return when.explain(series).truth is Truth.TRUE


def test_every_test_takes_the_same_headers_or_says_that_it_differs() -> None:
    exact = different = refused = 0
    known = {keyword: list(headers(keyword)) for keyword in NAMES}
    for keyword, operator, wanted in itertools.product(NAMES, [*ORDER, *TEXT], WANTED):
        try:
            ours = translate(FormerTest(keyword, "", operator, wanted))
        except UntranslatableError:
            refused += 1
            continue
        when = condition(ours.when)
        for dataset, series in known[keyword]:
            now = fires(when, series)
            before = of_former(dataset, keyword, operator, wanted)
            if ours.remark:
                different += now != before
            else:
                assert now == before, (keyword, operator, wanted, series)
                exact += 1
    assert exact > 3000
    assert different  # the remark is not there for nothing
    assert refused


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (("Slice Thickness", "", "CASE_SENSITIVE_STRING_CONTAINS", "3"), "for texts"),
        (("Series Description", "", "GREATER_THAN", "3"), "compared as a number"),
        (("Pixel Spacing", "", "LESS_THAN", "1"), "several values"),
        (("Instance Number", "", "EQUALS", "1"), "differs between slices"),
        (("Patient ID", "", "EQUALS", "Q-17"), "identifies a patient"),
        (("Study Time", "", "GREATER_THAN", "0800"), "compared as a number"),
        (("Referenced Image Sequence", "", "EQUALS", "x"), "no text or number"),
        (("Modality", "(0018,0050)", "EQUALS", "CT"), "does not match its tag"),
        (("Colour of the couch", "", "EQUALS", "red"), "not an element"),
        (("Acquisition DateTime", "", "EQUALS", "20240131101500"), "date with a time"),
        (("Modality", "", "SOUNDS_LIKE", "CT"), "operator"),
        (("Slice Thickness", "", "EQUALS", "thin"), "thin"),
        (("Modality", "", "EQUALS", " "), "blank"),
    ],
)
def test_what_cannot_be_said_is_refused_with_a_reason(
    asked: tuple[str, str, str, str], why: str
) -> None:
    with pytest.raises(UntranslatableError, match=why):
        translate(FormerTest(*asked))


OF_A_PATIENT = [
    ("Patient's Name", "(0010,0010)"),
    ("", "(0010,0010)"),
    ("Modality", "(0010,0010)"),  # the name says one element, the tag another
    ("Patient ID", "(0010,0020)"),
    ("Other Patient IDs", ""),
    ("Patient Address", ""),
    ("Patient's Telephone Numbers", ""),
    ("Patient Comments", ""),
    ("Patient's Birth Date", "(0010,0030)"),
    ("Accession Number", ""),
    ("Referring Physician's Name", ""),
    ("OperatorsName", ""),
    ("Study Instance UID", ""),
    ("Study Date", ""),  # a name is no date: what is wrong is told, not what it says
]


@pytest.mark.parametrize("operator", [*TEXT[1:5], "GREATER_THAN", "SOUNDS_LIKE"])
@pytest.mark.parametrize(("name", "tag"), OF_A_PATIENT)
def test_what_names_a_patient_is_neither_translated_nor_told(
    tmp_path: Path, name: str, tag: str, operator: str
) -> None:
    records = group([["AND", "AND"]], ["AND"], iter(["F", "MUELLER"]))
    asked = record("dicomtagtype", "N", tag_name=name, tag_id=tag)
    records[-1]["fields"] |= {"dicom_tag_type": "N", "operator_type": operator}

    migration = migrated(tmp_path, [*TEMPLATE, *TAGS, asked, *records])
    migration.write()

    assert outcomes(migration)[1] == ("g", LEFT)
    assert "MUELLER" not in (tmp_path / "new/rules.yaml").read_text()
    assert "MUELLER" not in json.dumps([one.as_plain() for one in migration.taken])


@pytest.mark.parametrize(
    ("name", "operator", "wanted"),
    [
        ("Study Date", "EQUALS", "20240131"),
        ("Image Comments", "CASE_INSENSITIVE_STRING_CONTAINS", "planning"),
        ("Smoking Status", "CASE_SENSITIVE_STRING_CONTAINS", "YES"),
        ("Patient's Birth Date", "LESS_THAN", "20060101"),
    ],
)
def test_where_a_value_may_tell_a_patient_a_person_is_asked_to_look(
    name: str, operator: str, wanted: str
) -> None:
    assert "may identify a patient" in translate(FormerTest(name, "", operator, wanted)).remark


@pytest.mark.parametrize("name", ["Study Date", "Patient's Weight", "Patient's Size"])
def test_a_bound_tells_nobody(name: str) -> None:
    assert not translate(FormerTest(name, "", "GREATER_THAN", "20240101")).remark


TEMPLATE = [
    record("autosegmentationtemplate", "t", template_name="Breast L", template_description="d"),
    record(
        "autosegmentationmodel",
        "m",
        autosegmentation_template_name="t",
        model_id=650,
        name="ThoraxOAR",
        config="3d_fullres",
        trainer_name="T",
        postprocess="null",
    ),
    record("autosegmentationstructure", "s", autosegmentation_model="m", map_id=1, name="Heart"),
]
PELVIS = (
    "name: Pelvis\nprotocol: Pelvis\nmodels:\n  720:\n    name: TSPrime\n    config: 3d\n"
    "    map: {1: Bladder}\n    trainer_name: T\n    postprocess: null\n"
)
CLIENT_TYPES = """
EXTERNAL PTV CTV GTV TREATED_VOLUME IRRAD_VOLUME OAR BOLUS AVOIDANCE ORGAN MARKER REGISTRATION
ISOCENTER CONTRAST_AGENT CAVITY BRACHY_CHANNEL BRACHY_ACCESSORY BRACHY_SRC_APP BRACHY_CHNL_SHLD
SUPPORT FIXATION DOSE_REGION CONTROL DOSE_MEASUREMENT
""".split()
TAGS = [
    record("dicomtagtype", "A", tag_name="Modality", tag_id="(0008,0060)"),
    record("dicomtagtype", "B", tag_name="Patient's Sex", tag_id="(0010,0040)"),
    record("dicomtagtype", "C", tag_name="Slice Thickness", tag_id="(0018,0050)"),
]


def group(joiners: list[list[str]], between: list[str], values: Iterator[str]) -> list[Any]:
    """Return a rule group: sets of tests of Modality, joined as given."""
    made = [record("rulegroup", "g", rulegroup_name="g", associated_autosegmentation_template="t")]
    for n, (inner, outer) in enumerate(zip(joiners, between, strict=True)):
        made.append(
            record(
                *("ruleset", f"s{n}"),
                ruleset_name=f"set {n}",
                rulegroup="g",
                rulset_order=n,
                ruleset_combination_type=outer,
            )
        )
        made += [
            record(
                *("rule", f"{n}.{at}"),
                ruleset=f"s{n}",
                rule_order=at,
                dicom_tag_type="A" if at % 2 else "B",
                operator_type="EQUALS",
                tag_value_to_evaluate=next(values),
                rule_combination_type=joiner,
            )
            for at, joiner in enumerate(inner)
        ]
    return made


def migrated(tmp_path: Path, records: list[Any], name: str = "export.json") -> Migration:
    path = tmp_path / name
    path.write_text(json.dumps(records))
    migration = migrate_to_folder(tmp_path / "new")
    migration.take([path])
    return migration


def outcomes(migration: Migration) -> list[tuple[str, str]]:
    return [(one.name, one.outcome) for one in migration.taken]


def folded(truths: list[bool], joiners: list[str]) -> bool:
    whole = truths[0]
    for truth, joiner in zip(truths[1:], joiners, strict=False):
        whole = (whole and truth) if joiner == "AND" else (whole or truth)
    return whole


@pytest.mark.parametrize("seed", range(25))
def test_and_and_or_are_read_from_left_to_right_as_before(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - a test
    joiners = [dice.choices(["AND", "OR"], k=dice.randint(1, 4)) for _ in range(dice.randint(1, 3))]
    between = dice.choices(["AND", "OR"], k=len(joiners))
    values = [dice.choice(["CT", "MR", "F", "M"]) for _ in range(20)]

    migration = migrated(tmp_path, [*TEMPLATE, *TAGS, *group(joiners, between, iter(values))])

    assert outcomes(migration) == [("Breast L", TRANSLATED), ("g", TRANSLATED)]
    (rule,) = read_rulebook(migration.rules, migration.templates).rules
    for modality, sex in itertools.product(["CT", "MR"], ["F", "M"]):
        left = iter(values)
        found = {"A": modality, "B": sex}
        sets = [
            folded([found["AB"[1 - at % 2]] == next(left) for at in range(len(inner))], inner)
            for inner in joiners
        ]
        header = RuleHeader({"Modality": (modality,), "PatientSex": (sex,)})
        assert fires(rule.when, header) == folded(sets, between)


def test_a_rule_that_cannot_be_translated_is_left_as_a_comment(tmp_path: Path) -> None:
    records = group([["AND", "AND"]], ["AND"], iter(["CT", "3"]))
    records[-1]["fields"] |= {
        "dicom_tag_type": "C",
        "operator_type": "CASE_SENSITIVE_STRING_CONTAINS",
    }

    migration = migrated(tmp_path, [*TEMPLATE, *TAGS, *records])
    migration.write()

    text = (tmp_path / "new/rules.yaml").read_text()
    assert outcomes(migration)[1] == ("g", LEFT)
    assert yaml.safe_load(text) == {"rules": None}
    assert "# not translated: rule 'g' for Breast L: Slice Thickness holds a number" in text
    assert "#   Slice Thickness CASE_SENSITIVE_STRING_CONTAINS 3\n" in text


def test_rule_sets_of_earlier_versions_stand_alone(tmp_path: Path) -> None:
    records = group([["AND", "AND"]], ["AND"], iter(["F", "CT"]))[1:]
    records[0]["fields"] = {
        "ruleset_name": "old",
        "rule_combination_type": "OR",
        "associated_autosegmentation_template": "t",
    }
    for one in records[1:]:
        del one["fields"]["rule_combination_type"], one["fields"]["rule_order"]

    migration = migrated(tmp_path, [*TEMPLATE, *TAGS, *records])

    assert migration.rules.data["rules"] == [
        {
            "name": "old",
            "template": "Breast_L",
            "when": {
                "any": [
                    {"PatientSex": {"equals": "F", "case": True}},
                    {"Modality": {"equals": "CT", "case": True}},
                ]
            },
        }
    ]


def test_the_rule_sets_of_the_other_client_find_the_template_of_its_own_file(
    tmp_path: Path,
) -> None:
    (tmp_path / "Pelvis.yml").write_text(PELVIS)
    (tmp_path / "old.json").write_text(
        json.dumps(
            [
                record("modelyamlinfo", 1, yaml_name="Pelvis.yml", yaml_path="/x/Pelvis.yml"),
                record("ruleset", 2, rule_set_name="pelvis", description="", model_yaml=1),
                record("tagname", 3, tag_name="Modality"),
                record("tagname", 4, tag_name="ProtocolName"),
                record("rule", 5, rule_set=2, tag_name=3, tag_value="CT"),
                record("rule", 6, rule_set=2, tag_name=4, tag_value="Pelvis 3mm"),
            ]
        )
    )
    migration = migrate_to_folder(tmp_path / "new")

    migration.take([tmp_path / "old.json", tmp_path / "Pelvis.yml"])

    assert outcomes(migration) == [("Pelvis", TRANSLATED), ("pelvis", TRANSLATED)]
    header = RuleHeader({"Modality": ("CT",), "ProtocolName": ("Pelvis 3mm",)})
    when = condition(migration.rules.data["rules"][0]["when"])
    assert fires(when, header)
    assert not fires(when, RuleHeader({"Modality": ("CT",)}))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"associated_autosegmentation_template": None}, "no template"),
        ({"associated_autosegmentation_template": "gone"}, "no template"),
    ],
)
def test_a_rule_without_template_is_told(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    records = group([["AND"]], ["AND"], iter(["F"]))
    records[0]["fields"] |= change

    migration = migrated(tmp_path, [*TEMPLATE, *TAGS, *records])

    assert outcomes(migration)[1] == ("g", LEFT)
    assert why in migration.taken[1].why[0]


def test_a_set_without_order_that_mixes_and_and_or_is_not_guessed(tmp_path: Path) -> None:
    records = group([["AND", "OR", "AND"]], ["AND"], iter(["F", "CT", "M"]))
    for one in records:
        one["fields"].pop("rule_order", None)

    migration = migrated(tmp_path, [*TEMPLATE, *TAGS, *records])

    assert migration.taken[1].why == ("does not define the order of its AND and OR",)


@pytest.mark.parametrize(
    ("joiners", "why"),
    [([["AND"], []], "a set without rules"), ([[]], "no rules"), ([], "no rules")],
)
def test_a_group_with_nothing_in_it_is_told(
    tmp_path: Path, joiners: list[list[str]], why: str
) -> None:
    records = group(joiners, ["OR"] * len(joiners), iter(["F"]))

    migration = migrated(tmp_path, [*TEMPLATE, *TAGS, *records])

    assert outcomes(migration)[1] == ("g", LEFT)
    assert why in migration.taken[1].why[0]


def test_looks_come_along_and_what_does_not_is_told(tmp_path: Path) -> None:
    look = record(
        *("structureproperties", "p"),
        autosegmentation_structure="s",
        roi_label="Heart_AI",
        rt_roi_interpreted_type="TARGET",
        roi_display_color="255,0,0",
    )

    migration = migrated(tmp_path, [*TEMPLATE, look])

    template = migration.templates.data["templates"]["Breast_L"]
    assert template["structures"] == {"Heart": {"label": "Heart_AI", "color": [255, 0, 0]}}
    assert outcomes(migration) == [("Breast L", DIFFERENT)]
    assert "'TARGET'" in migration.taken[0].why[1]


@pytest.mark.parametrize("kind", CLIENT_TYPES)
def test_every_type_of_the_former_client_is_kept(tmp_path: Path, kind: str) -> None:
    look = record(
        "structureproperties", "p", autosegmentation_structure="s", rt_roi_interpreted_type=kind
    )

    migration = migrated(tmp_path, [*TEMPLATE, look])

    structures = migration.templates.data["templates"]["Breast_L"]["structures"]
    assert structures == {"Heart": {"type": kind}}


OWNERS = {
    "autosegmentation_template_name",
    "autosegmentation_model",
    "rulegroup",
    "ruleset",
}


def copied(records: list[Any], suffix: str) -> list[Any]:
    """Return records with other keys, that refer to each other as the given ones do."""
    return [
        {
            "model": one["model"],
            "pk": f"{one['pk']}{suffix}",
            "fields": {
                key: f"{value}{suffix}" if key in OWNERS else value
                for key, value in one["fields"].items()
            },
        }
        for one in records
    ]


def test_a_template_that_cannot_be_used_stays_as_a_comment(tmp_path: Path) -> None:
    second = copied(TEMPLATE, "2")
    second[-1]["fields"]["name"] = "Lung_L"

    migration = migrated(tmp_path, [*TEMPLATE, *second])
    migration.write()
    again = migrate_to_site(tmp_path / "new/rules.yaml", tmp_path / "new/templates.yaml", 64)
    again.take([tmp_path / "export.json"])

    text = (tmp_path / "new/templates.yaml").read_text()
    assert outcomes(migration) == [("Breast L", TRANSLATED), ("Breast L", LEFT)]
    assert "# not translated: template 'Breast L': another template has this name" in text
    assert "#           1: Lung_L" in text
    assert again.templates.source == text.encode()


def test_rules_of_one_name_are_numbered(tmp_path: Path) -> None:
    one, other = (group([["AND"]], ["AND"], iter([sex])) for sex in "FM")

    migration = migrated(tmp_path, [*TEMPLATE, *TAGS, *one, *copied(other, "2")])

    assert outcomes(migration)[1:] == [("g", TRANSLATED), ("g (2)", TRANSLATED)]
    book = read_rulebook(migration.rules, migration.templates)
    assert [rule.name for rule in book.rules] == ["g", "g (2)"]


def test_the_files_are_read_once_however_many_rules_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []

    def parse(path: Path, source: bytes) -> Document:
        parsed.append(path)
        return parse_yaml(path, source)

    monkeypatch.setattr("drawcli.system.yaml_edit.parse_yaml", parse)
    rules = group([["AND"]], ["AND"], iter(["F"]))

    many = [one for n in range(60) for one in copied(rules, f"-{n}")]
    migration = migrated(tmp_path, [*TEMPLATE, *TAGS, *many])

    assert [outcome for _, outcome in outcomes(migration)] == [TRANSLATED] * 61
    assert len(parsed) == 2  # each file once


NEVER = [
    ("tagname", "PatientSex", "(0010,0040)"),  # 'Patient'sSex' is pydicom's name without blanks
    ("tagname", "Modality ", "(0008,0060)"),
    ("tagname", "Slice Thickness", "(0018,0050)"),
    ("tagname", "TransferSyntaxUID", "(0002,0010)"),
    ("dicomtagtype", "PatientSex", ""),
    ("dicomtagtype", "patient's sex", "(0010, 0040)"),
    ("dicomtagtype", "Transfer Syntax UID", "(0002,0010)"),
]


@pytest.mark.parametrize(("kind", "name", "tag"), NEVER)
def test_a_rule_that_could_never_match_is_not_made_to_match(
    tmp_path: Path, kind: str, name: str, tag: str
) -> None:
    (tmp_path / "Pelvis.yml").write_text(PELVIS)
    tags = [record(kind, 3, tag_name=name, tag_id=tag)]
    if kind == "tagname":
        rules = [
            record("modelyamlinfo", 1, yaml_name="Pelvis.yml"),
            record("ruleset", 2, rule_set_name="g", model_yaml=1),
            record("rule", 5, rule_set=2, tag_name=3, tag_value="F"),
        ]
    else:
        rules = group([["AND"]], ["AND"], iter(["F"]))
        rules[-1]["fields"]["dicom_tag_type"] = 3
    (tmp_path / "e.json").write_text(json.dumps([*TEMPLATE, *tags, *rules]))
    migration = migrate_to_folder(tmp_path / "new")

    migration.take([tmp_path / "e.json", tmp_path / "Pelvis.yml"])

    assert outcomes(migration)[-1] == ("g", LEFT)
    assert "was never found in a header" in migration.taken[-1].why[0]
    assert b"never found" in migration.rules.source


def test_the_first_client_found_only_what_pydicom_calls_as_its_list_does() -> None:
    """Its list of tags holds keywords, and it compared pydicom's names without blanks with them."""
    other = 0
    for keyword, tag in keyword_dict.items():
        asked = FormerTest(keyword, f"({tag >> 16:04X},{tag & 0xFFFF:04X})", "EQUALS", "x", 1)
        same = dictionary_description(tag).replace(" ", "") == keyword
        other += not same
        why = "translated"
        try:
            translate(asked)
        except UntranslatableError as err:
            why = str(err)
        assert same or why != "translated", keyword
        assert not same or tag >> 16 == 2 or "never found" not in why, keyword
    assert other > 600


TOKENS = {
    "systemconfiguration": {"draw_bearer_token": "eyJ-s3cr3t-1", "draw_refresh_token": "r-s3cr3t"},
    "systemsettings": {"encrypted_bearer_token": "gAAAAA-s3cr3t-2", "token_expiry": "2026-01-01"},
    "dicomtransfer": {"server_token": "t-s3cr3t", "server_task_id": "7"},
    "user": {"password": "pbkdf2-s3cr3t", "username": "root"},
}


def test_tokens_are_named_and_neither_copied_nor_shown(tmp_path: Path) -> None:
    secrets = [record(kind, 1, **fields) for kind, fields in TOKENS.items()]
    file = tmp_path / "e.json"
    file.write_text(json.dumps([*TEMPLATE, *secrets, record("token", "key-s3cr3t", user=1)]))

    for more in ((), ("--json",)):
        to = tmp_path / f"new{len(more)}"
        told = CliRunner().invoke(app, ["import-draw-client", str(file), "--to", str(to), *more])

        assert "s3cr3t" not in told.output + "".join(one.read_text() for one in to.iterdir())
        for name in ("systemconfiguration.draw_bearer_token", "user.password", "token.key"):
            assert name in told.output
        assert "token_expiry" not in told.output


def test_patients_in_an_export_are_counted_and_never_told(tmp_path: Path) -> None:
    patient = record("patient", "p", patient_id="Q-1734", patient_name="DOE^JANE")

    migration = migrated(tmp_path, [*TEMPLATE, patient])

    told = json.dumps([one.as_plain() for one in migration.taken] + migration.notes)
    assert "patient (1)" in told
    assert "1734" not in told
    assert "DOE" not in told


def test_a_second_import_changes_nothing(tmp_path: Path) -> None:
    records = [*TEMPLATE, *TAGS, *group([["AND"]], ["AND"], iter(["F"]))]
    migrated(tmp_path, records).write()
    rules, templates = (tmp_path / "new" / f"{name}.yaml" for name in ("rules", "templates"))
    before = rules.read_bytes(), templates.read_bytes()
    again = migrate_to_site(rules, templates, 64)

    again.take([tmp_path / "export.json"])
    again.write()

    assert outcomes(again) == [("Breast L", THERE), ("g", THERE)]
    assert (rules.read_bytes(), templates.read_bytes()) == before


def test_another_rule_of_the_same_name_stays(tmp_path: Path) -> None:
    records = [*TEMPLATE, *TAGS, *group([["AND"]], ["AND"], iter(["F"]))]
    migrated(tmp_path, records).write()
    rules = tmp_path / "new/rules.yaml"
    rules.write_text(rules.read_text().replace("equals: F", "equals: M"))
    again = migrate_to_site(rules, tmp_path / "new/templates.yaml", 64)

    again.take([tmp_path / "export.json"])

    assert outcomes(again) == [("Breast L", THERE), ("g", LEFT)]
    assert "another rule has this name" in again.taken[1].why


@pytest.mark.parametrize("text", ["{", "{}", "[1]", '[{"a": 1}]', "\x00"])
def test_a_file_that_is_no_export_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)

    with pytest.raises(ConfigError, match=r"x\.json"):
        migrate_to_folder(tmp_path).take([tmp_path / "x.json"])


def test_the_command_writes_new_files_and_ends_with_6_where_a_person_must_look(
    tmp_path: Path,
) -> None:
    records = [*TEMPLATE, *TAGS, *group([["AND"]], ["AND"], iter(["F"]))]
    (tmp_path / "e.json").write_text(json.dumps(records))
    words = ["import-draw-client", str(tmp_path / "e.json"), "--to", str(tmp_path / "new")]

    dry = CliRunner().invoke(app, [*words, "-n"])
    assert (dry.exit_code, (tmp_path / "new").exists()) == (0, False)
    done = CliRunner().invoke(app, [*words, "--json"])
    assert json.loads(done.stdout)["data"]["written"] is True
    assert yaml.safe_load((tmp_path / "new/rules.yaml").read_text())["rules"][0]["name"] == "g"
    assert CliRunner().invoke(app, words).exit_code == UsageError.exit_code

    records[-1]["fields"]["operator_type"] = "SOUNDS_LIKE"
    (tmp_path / "e.json").write_text(json.dumps(records))
    told = CliRunner().invoke(app, [*words[:-1], str(tmp_path / "other")])
    assert told.exit_code == 6
    assert "rule g: not translated" in told.stdout


STEERING = [
    "\x1b]0;pwn\x07X",
    "\ud800x",
    "\x9b31mX",
    "\u202eX",
    "a\x00b",
    "\x85x",
    "\u2028x",
    "\udcff",
]
OF_OTHER_KINDS: list[Any] = [[], {}, [""], True, "x" * 5000, "a\nrules: []\n- x"]
WHOLE: list[dict[str, Any]] = [
    {
        "model": "app.autosegmentationtemplate",
        "fields": {"template_name": "Pelvis", "template_description": "as of 2026"},
    },
    {
        "model": "app.autosegmentationmodel",
        "fields": {
            "autosegmentation_template_name": 1,
            "model_id": 720,
            "name": "m",
            "config": "3d_fullres",
            "trainer_name": "t",
            "postprocess": "p",
        },
    },
    {
        "model": "app.autosegmentationstructure",
        "fields": {"autosegmentation_model": 1, "map_id": 1, "name": "Bladder"},
    },
    {
        "model": "app.structureproperties",
        "fields": {
            "autosegmentation_structure": 1,
            "roi_label": "Bl",
            "roi_display_color": "#ff8000",
            "rt_roi_interpreted_type": "ORGAN",
        },
    },
    {
        "model": "app.rulegroup",
        "fields": {"rulegroup_name": "g", "associated_autosegmentation_template": 1},
    },
    {
        "model": "app.ruleset",
        "fields": {
            "ruleset_name": "s",
            "rulegroup": 1,
            "rulset_order": 1,
            "ruleset_combination_type": "AND",
        },
    },
    {
        "model": "app.rule",
        "fields": {
            "ruleset": 1,
            "dicom_tag_type": 1,
            "operator_type": "EQUALS",
            "tag_value_to_evaluate": "CT",
            "rule_order": 1,
            "rule_combination_type": "AND",
        },
    },
    {"model": "app.dicomtagtype", "fields": {"tag_name": "Modality", "tag_id": "(0008,0060)"}},
    {
        "model": "app.additionalstructures",
        "fields": {
            "autosegmentation_template": 1,
            "roi_label": "PTV",
            "rt_roi_interpreted_type": "PTV",
            "roi_display_color": "255\\0\\0",
            "roi_generation_logic": None,
        },
    },
]
PLACES = [(at, name) for at, record in enumerate(WHOLE) for name in record["fields"]]


@pytest.mark.sweep
@pytest.mark.parametrize(("at", "name"), PLACES, ids=str)
def test_no_text_of_an_export_steers_the_terminal_or_ends_in_a_traceback(
    tmp_path: Path, at: int, name: str
) -> None:
    for number, value in enumerate([*STEERING, *OF_OTHER_KINDS]):
        export = json.loads(json.dumps([{**record, "pk": 1} for record in WHOLE]))
        export[at]["fields"][name] = value
        file, target = tmp_path / f"{number}.json", tmp_path / str(number)
        file.write_text(json.dumps(export))

        ended = CliRunner().invoke(
            app, ["import-draw-client", str(file), "--to", str(target)], env={"NO_COLOR": "1"}
        )

        assert ended.exit_code in (0, 6), ended.output
        written = [one.read_text(encoding="utf-8") for one in target.iterdir()]
        assert len(written) == 2
        for text in (ended.output, *written):
            assert [one for one in text if not one.isprintable() and one != "\n"] == []
        if value in STEERING and name not in ("roi_display_color", "rulset_order"):
            assert "translated" in ended.output


def test_an_export_that_is_well_is_taken_over_whole(tmp_path: Path) -> None:
    file = tmp_path / "export.json"
    file.write_text(json.dumps([{**record, "pk": 1} for record in WHOLE]))
    migration = migrate_to_folder(tmp_path / "new")

    migration.take([file])

    assert [one.outcome for one in migration.taken] == [TRANSLATED, TRANSLATED]


def test_a_text_that_is_none_is_named_and_its_template_left_out(tmp_path: Path) -> None:
    export = json.loads(json.dumps([{**record, "pk": 1} for record in WHOLE]))
    export[2]["fields"]["name"] = "Blad\x1b[2Jder"
    file = tmp_path / "export.json"
    file.write_text(json.dumps(export))
    migration = migrate_to_folder(tmp_path / "new")

    migration.take([file])

    template, rule = migration.taken
    assert (template.outcome, rule.outcome) == (LEFT, LEFT)
    assert template.why == ("'name' in the export is not valid text",)
