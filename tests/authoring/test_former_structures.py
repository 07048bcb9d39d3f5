"""Additional structures of a former client: empty ones, and each of its ten operations."""

import json
from pathlib import Path
from typing import Any

import pytest

from drawcli.authoring.migrate import MigratedItem, migrate_to_folder
from tests.former_export import record

LABELS = {"Heart": "Heart_AI", "Lung_L": "", "Lung_R": "", "Body": ""}
Operation = dict[str, Any]


def imported(tmp_path: Path, *additional: dict[str, Any]) -> tuple[dict[str, Any], MigratedItem]:
    """Return the imported template and the report on it."""
    records = [
        record("autosegmentationtemplate", "t", template_name="Thorax", template_description=""),
        record(
            "autosegmentationmodel",
            "m",
            autosegmentation_template_name="t",
            model_id=650,
            name="M",
            config="3d",
            trainer_name="T",
            postprocess="null",
        ),
    ]
    for number, (name, label) in enumerate(LABELS.items(), 1):
        records += [
            record(
                "autosegmentationstructure",
                number,
                autosegmentation_model="m",
                map_id=number,
                name=name,
            ),
            record(
                "structureproperties",
                number,
                autosegmentation_structure=number,
                roi_label=label or name,
            ),
        ]
    records += [
        record("additionalstructures", number, autosegmentation_template="t", **fields)
        for number, fields in enumerate(additional)
    ]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(records))
    migration = migrate_to_folder(tmp_path / "new")
    migration.take([path])
    (item,) = migration.taken
    return migration.templates.data["templates"]["Thorax"], item


def derived(tmp_path: Path, *operations: Operation) -> tuple[dict[str, Any], str]:
    """Return what the operations of the structure X become, and the remarks."""
    logic = {"operations": list(operations)}
    template, item = imported(tmp_path, {"roi_label": "X", "roi_generation_logic": logic})
    return template.get("derived", {}), " ".join(item.why)


def op(kind: str, *structures: str, **parameters: Any) -> Operation:
    return {"type": kind, "structures": list(structures), "parameters": parameters}


def test_empty_structures_are_imported_with_the_defaults_of_the_former_client(
    tmp_path: Path,
) -> None:
    template, item = imported(
        tmp_path,
        {
            "roi_label": "PTV",
            "rt_roi_interpreted_type": "PTV",
            "roi_display_color": "255\\0\\0",
            "roi_generation_logic": None,
        },
        {"roi_label": "CTV", "roi_generation_logic": {}},
    )

    assert template["empty"] == {
        "CTV": {"color": [255, 255, 0], "type": "ORGAN"},
        "PTV": {"color": [255, 0, 0], "type": "PTV"},
    }
    assert (item.outcome, item.why) == ("translated", ())


YELLOW = {"color": [255, 255, 0]}
FIRST = op("expand", "Lung_L", margin_mm=5)  # of the operations that need a result so far


@pytest.mark.parametrize(
    ("operations", "last"),
    [
        ([op("expand", "Heart_AI", margin_mm=5)], {"margin": "Heart", "mm": 5.0}),
        ([op("expand", "Lung_L")], {"margin": "Lung_L", "mm": 5.0}),
        ([op("contract", "Lung_L")], {"margin": "Lung_L", "mm": -3.0}),
        ([op("expand", "Lung_L", margin_mm=0)], {"union": ["Lung_L"]}),
        ([op("union", "Lung_L", "Lung_R")], {"union": ["Lung_L", "Lung_R"]}),
        ([op("intersection", "Heart_AI", "Body")], {"intersection": ["Heart", "Body"]}),
        (
            [op("subtract", "Body", "Lung_L", "Lung_R")],
            {"subtraction": ["Body", "Lung_L", "Lung_R"]},
        ),
        ([FIRST, op("crop_to_boundary", "Body")], {"crop": "X_step1", "inside": "Body"}),
        ([FIRST, op("smooth", smoothing_mm=1.5)], {"smooth": "X_step1", "mm": 1.5}),
        ([FIRST, op("fill_holes")], {"fill_holes": "X_step1"}),
        ([FIRST, op("remove_small_components")], {"remove_small": "X_step1", "cm3": 0.1}),
        ([FIRST, op("keep_largest")], {"keep_largest": "X_step1"}),
        ([op("subtract", "Body", "Lung_L", margin_mm=2)], {"margin": "X_step1", "mm": 2.0}),
        ([FIRST, op("smooth", iterations=2)], {"smooth": "X_step2", "mm": 2.0}),
        ([FIRST, op("smooth", smoothing_mm=0)], {"margin": "Lung_L", "mm": 5.0}),
        ([op("union", "Lung_R", "Body"), FIRST], {"margin": "Lung_L", "mm": 5.0}),  # anew
    ],
)
def test_every_operation_has_its_twin(
    tmp_path: Path, operations: list[Operation], last: dict[str, Any]
) -> None:
    found, _ = derived(tmp_path, *operations)

    assert found["X"] == last | YELLOW
    steps = [rule for name, rule in found.items() if name != "X"]
    assert all(rule["hidden"] is True for rule in steps)


def test_what_the_former_client_could_never_compute_is_said(tmp_path: Path) -> None:
    _, why = derived(tmp_path, op("union", "Lung_L", "Lung_R"))

    assert "could never compute the union" in why


@pytest.mark.parametrize(
    ("operations", "why"),
    [
        ([op("expand", "Heart")], "no structure Heart"),  # it has another name in the file
        ([op("expand", "PTV")], "no structure PTV"),
        ([op("expand")], "names 0 structures"),
        ([op("union", "Lung_L")], "names 1 structures"),
        ([op("fill_holes")], "no structure to start from"),
        ([op("dilate", "Lung_L")], "'dilate' is no operation"),
        ([op("expand", "Lung_L", margin_mm="5")], "not a number"),
        ([op("expand", "Lung_L", margin_mm=500)], "more than 100 mm"),
        ([FIRST, op("smooth", iterations=1.5)], "invalid width or number"),
        ([FIRST, op("smooth", "PTV")], "no structure PTV"),
        ([5], "no operation"),
        ([{"type": "expand", "structures": "Lung_L"}], "names no list of structures"),
        ([op("expand", "a\x1b]0;pwn")], "a·]0;pwn"),
    ],
)
def test_what_cannot_be_derived_is_left_out_with_a_reason(
    tmp_path: Path, operations: list[Any], why: str
) -> None:
    found, told = derived(tmp_path, *operations)

    assert not found
    assert f"X is left out: {why}" in told or why in told


@pytest.mark.parametrize("label", ["", "heart", "HEART_AI", "lung_l", "a\\b", "x" * 65])
def test_a_structure_without_a_name_of_its_own_does_not_cost_the_template(
    tmp_path: Path, label: str
) -> None:
    template, item = imported(tmp_path, {"roi_label": label})

    assert "empty" not in template
    assert "is left out" in item.why[0]


def test_a_structure_may_be_derived_from_an_earlier_one(tmp_path: Path) -> None:
    rim = op("subtract", "A_outer", "Heart_AI")
    template, _ = imported(
        tmp_path,
        {"roi_label": "B_rim", "roi_generation_logic": {"operations": [rim]}},
        {
            "roi_label": "A_outer",
            "rt_roi_interpreted_type": "AVOIDANCE",
            "roi_generation_logic": {"operations": [op("expand", "Heart_AI")]},
        },
    )

    assert list(template["derived"]) == ["A_outer", "B_rim"]
    assert template["derived"]["A_outer"]["type"] == "AVOIDANCE"
    assert template["derived"]["B_rim"]["subtraction"] == ["A_outer", "Heart"]
