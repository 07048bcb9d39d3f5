"""The models of the sandbox, and their list as the server's JSON."""

from dataclasses import dataclass
from typing import Any, Final

from drawcli.sandbox import NOTICE

_TRAINER: Final = "nnUNetTrainerNoMirroring"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxModel:
    """A model: the values that a template needs to select it, and its structures."""

    model_id: int
    name: str
    config: str
    trainer: str
    group: str  # Anatomic_Group of its structures
    structures: dict[int, str]  # mapid: TG-263 primary name


CATALOGUE: Final[tuple[SandboxModel, ...]] = (
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


def find(model_id: int) -> SandboxModel | None:
    """Return a model of the catalogue, or None."""
    return next((model for model in CATALOGUE if model.model_id == model_id), None)


def as_json() -> list[dict[str, Any]]:
    """Return the catalogue as the server lists it, the string "null" included."""
    return [_model(model) for model in CATALOGUE]


def _model(model: SandboxModel) -> dict[str, Any]:
    return {
        "model_id": model.model_id,
        "model_name": model.name,
        "model_config": model.config,
        "model_trainer_name": model.trainer,
        "model_postprocess": "null",
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
        "notice": NOTICE,
    }
