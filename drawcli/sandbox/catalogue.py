"""The models of the sandbox, its own or those of a file, and their list as the server's JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from drawcli.errors import UsageError
from drawcli.sandbox import NOTICE
from drawcli.sandbox.segmentation.organ_places import grown_mm_of

_TRAINER: Final = "nnUNetTrainerNoMirroring"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxModel:
    """A model: the values that a template needs to select it, and its structures."""

    model_id: int
    name: str
    config: str
    trainer: str
    structures: dict[int, str]  # mapid: TG-263 primary name
    group: str = ""  # Anatomic_Group of its structures
    postprocess: str | None = "null"  # the server writes the string
    entry: Mapping[str, Any] = field(default_factory=dict)  # as a file lists it


Catalogue = tuple[SandboxModel, ...]


CATALOGUE: Final[Catalogue] = (
    SandboxModel(
        model_id=720,
        name="TSPrime",
        config="3d_fullres",
        trainer=_TRAINER,
        group="Pelvis",
        structures={
            1: "Bladder",
            2: "Rectum",
            3: "Femur_Head_L",
            4: "Femur_Head_R",
            5: "Prostate",
            6: "PenileBulb",
            7: "SeminalVes",
            8: "Bag_Bowel",
            9: "Bones",
            10: "Body",
            11: "Anorectum",
        },
    ),
    SandboxModel(
        model_id=730,
        name="TSHeadNeck",
        config="3d_fullres",
        trainer=_TRAINER,
        group="Head and Neck",
        structures={
            1: "Brain",
            2: "Brainstem",
            3: "Mandible",
            4: "SpinalCord",
            5: "Parotid_L",
            6: "Parotid_R",
            7: "Eye_L",
            8: "Eye_R",
            9: "Larynx",
            10: "Cavity_Oral",
            11: "OpticChiasm",
            12: "Bones",
            13: "Body",
        },
    ),
    SandboxModel(
        model_id=740,
        name="TSThorax",
        config="3d_fullres",
        trainer="nnUNetTrainer",
        group="Thorax",
        structures={
            1: "Lung_L",
            2: "Lung_R",
            3: "Heart",
            4: "SpinalCord",
            5: "Esophagus",
            6: "Trachea",
            7: "Liver",
            8: "Breast_L",
            9: "Breast_R",
            10: "Bones",
            11: "External",
        },
    ),
)


def find(model_id: int, catalogue: Catalogue = CATALOGUE) -> SandboxModel | None:
    """Return a model of the catalogue, or None."""
    return next((model for model in catalogue if model.model_id == model_id), None)


def as_json(catalogue: Catalogue = CATALOGUE, version: int = 1) -> list[dict[str, Any]]:
    """Return the catalogue as the server lists it, the string "null" included.

    The second version of a model changes the descriptions of the structures that it draws larger,
    and nothing that a template quotes.
    """
    return [
        {**_in_version(model.entry or _entry(model), version), "notice": NOTICE}
        for model in catalogue
    ]


def _in_version(entry: Mapping[str, Any], version: int) -> dict[str, Any]:
    if version == 1:
        return {**entry}
    structures = [
        {**one, "Description": f"{name}, drawn larger, version {version}"}
        if grown_mm_of(name := one["map_tg263_primary_name"])
        else one
        for one in entry["modelmap"]
    ]
    return {**entry, "modelmap": structures}


def read_catalogue(path: Path) -> Catalogue:
    """Return the models of a file: the server's list, or `catalogue.json` of a site.

    Raises
    ------
    UsageError
        If the file cannot be read, or an entry lacks something that a template needs.
    """
    try:
        plain = json.loads(path.read_bytes())
        entries = plain["models"] if isinstance(plain, dict) else plain
        models = tuple(_model(entry) for entry in entries)
    except OSError as err:
        raise UsageError(f"{path} cannot be read: {err.strerror}") from err
    except (ValueError, KeyError, TypeError) as err:
        raise UsageError(
            f"{path} is not a catalogue",
            hint="Name catalogue.json of a state_dir ('drawcli templates pull' writes it), or the "
            "answer of the server's /api/models/.",
        ) from err
    if len({model.model_id for model in models}) < len(models) or not models:
        raise UsageError(f"{path} has no models, or two with one model_id")
    return models


def _model(entry: Mapping[str, Any]) -> SandboxModel:
    return SandboxModel(
        model_id=int(entry["model_id"]),
        name=str(entry["model_name"]),
        config=str(entry["model_config"]),
        trainer=str(entry["model_trainer_name"]),
        structures={
            int(one["mapid"]): str(one["map_tg263_primary_name"]) for one in entry["modelmap"]
        },
        postprocess=entry.get("model_postprocess"),
        entry=entry,
    )


def _entry(model: SandboxModel) -> dict[str, Any]:
    return {
        "model_id": model.model_id,
        "model_name": model.name,
        "model_config": model.config,
        "model_trainer_name": model.trainer,
        "model_postprocess": model.postprocess,
        "modelmap": [
            {
                "id": model.model_id * 100 + mapid,
                "mapid": mapid,
                "map_tg263_primary_name": name,
                "Major_Category": "OAR",
                "Anatomic_Group": model.group,
                "Description": f"{name}, drawn by a toy",
                "delineation_modality": "CT",
                "median_dice_score": None,
            }
            for mapid, name in model.structures.items()
        ],
    }
