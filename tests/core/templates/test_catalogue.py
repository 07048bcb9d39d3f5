"""The server's catalogue is read with patience, and templates are held against it."""

from pathlib import Path

import yaml

from drawcli.core.templates.catalogue import parse_catalogue, unmet_requests
from drawcli.core.templates.template import Template

SITE = Path(__file__).parents[3] / "drawcli" / "data" / "templates.yaml"
ENTRY = {
    "model_id": 720,
    "model_name": "TSPrime",
    "model_config": "3d_fullres",
    "model_trainer_name": "nnUNetTrainerNoMirroring",
    "model_postprocess": "null",
    "modelmap": [
        {"id": 9, "mapid": 1, "map_tg263_primary_name": "Bladder", "median_dice_score": 0.9},
        {"id": 10, "mapid": 2, "map_tg263_primary_name": "Rectum"},
        {"id": 11, "mapid": 3, "map_tg263_primary_name": "Femur_Head_L"},
        {"id": 12, "mapid": 4, "map_tg263_primary_name": "Femur_Head_R"},
    ],
    "something_new": {},
}


def templates() -> dict[str, Template]:
    plain = yaml.safe_load(SITE.read_text())["templates"]["Prostate_OAR"]
    return {"Prostate_OAR": Template.read(plain)}


def test_what_the_server_offers_is_no_trouble() -> None:
    assert list(unmet_requests(templates(), parse_catalogue([ENTRY]))) == []


def test_entries_that_cannot_be_used_are_left_out() -> None:
    odd = [5, None, {}, {"model_id": "720"}, {"model_id": True}, {"model_id": 8, "modelmap": 3}]
    broken = {"model_id": 9, "modelmap": [3, {}, {"mapid": "1", "map_tg263_primary_name": "A"}]}

    offers = parse_catalogue([*odd, broken])

    assert [(offer.model_id, dict(offer.structures)) for offer in offers] == [(8, {}), (9, {})]


def test_what_a_template_asks_for_in_vain_is_told() -> None:
    renamed = [{**one, "map_tg263_primary_name": "Anorectum"} for one in ENTRY["modelmap"][1:2]]  # type: ignore[index]
    changed = {
        **ENTRY,
        "model_config": "2d",
        "model_postprocess": "largest",
        "modelmap": [ENTRY["modelmap"][0], *renamed, ENTRY["modelmap"][3]],  # type: ignore[index]
    }

    assert list(unmet_requests(templates(), parse_catalogue([changed]))) == [
        "template Prostate_OAR: model 720 has config 2d at the server, not 3d_fullres",
        "template Prostate_OAR: model 720 has postprocess largest at the server, not null",
        "template Prostate_OAR: structure 2 of model 720 is Anorectum at the server, not Rectum",
        "template Prostate_OAR: model 720 offers no structure 3 (Femur_Head_L)",
    ]
    assert list(unmet_requests(templates(), [])) == [
        "template Prostate_OAR: the server offers no model 720 (TSPrime)"
    ]
