import json
from pathlib import Path
from typing import Any

import pytest

from drawcli.errors import UsageError
from drawcli.sandbox.catalogue import CATALOGUE, as_json, find, read_catalogue


def test_the_model_of_the_protocol_is_there() -> None:
    model = find(720)

    assert model is not None
    assert (model.name, model.config) == ("TSPrime", "3d_fullres")
    assert model.trainer == "nnUNetTrainerNoMirroring"
    assert (model.structures[1], model.structures[2]) == ("Bladder", "Rectum")


def test_the_list_has_the_keys_of_the_server() -> None:
    entry = as_json()[0]

    assert set(entry) > {
        "model_id",
        "model_name",
        "model_config",
        "model_trainer_name",
        "model_postprocess",
        "modelmap",
    }
    assert entry["model_postprocess"] == "null"
    assert {"id", "mapid", "map_tg263_primary_name", "Major_Category"} < set(entry["modelmap"][0])


def test_ids_and_names_are_told_apart() -> None:
    entries = [each["id"] for model in as_json() for each in model["modelmap"]]

    assert len(entries) == len(set(entries))
    assert len({model.model_id for model in CATALOGUE}) == len(CATALOGUE)
    for model in CATALOGUE:
        assert len(set(model.structures.values())) == len(model.structures)
        assert model.model_id > 10


def test_an_unknown_model_is_none() -> None:
    assert find(721) is None


ENTRY: dict[str, Any] = {
    "model_id": 815,
    "model_name": "TSGyne",
    "model_config": "3d_lowres",
    "model_trainer_name": "nnUNetTrainer",
    "model_postprocess": "a/b.pkl",
    "modelmap": [{"mapid": 3, "map_tg263_primary_name": "Uterus", "unknown": [1]}],
    "is_active": True,
}


@pytest.mark.parametrize("plain", [[ENTRY], {"at": "2026-11-29T12:00:00+00:00", "models": [ENTRY]}])
def test_a_file_is_offered_as_it_stands(tmp_path: Path, plain: Any) -> None:
    path = tmp_path / "catalogue.json"
    path.write_text(json.dumps(plain), encoding="utf-8")

    catalogue = read_catalogue(path)

    model = find(815, catalogue)
    assert model is not None
    assert (model.name, model.structures, model.postprocess) == ("TSGyne", {3: "Uterus"}, "a/b.pkl")
    (listed,) = as_json(catalogue)
    assert {key: listed[key] for key in ENTRY} == ENTRY


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("[", "not a catalogue"),
        ("7", "not a catalogue"),
        ("[]", "no models"),
        (json.dumps([ENTRY, ENTRY]), "two with one model_id"),
        (json.dumps([{**ENTRY, "modelmap": None}]), "not a catalogue"),
        (json.dumps([{"model_id": 815}]), "not a catalogue"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "catalogue.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")

    with pytest.raises(UsageError, match=words):
        read_catalogue(path)


def test_the_second_version_changes_entries_but_nothing_that_a_template_quotes() -> None:
    quoted = ("model_id", "model_name", "model_config", "model_trainer_name", "model_postprocess")

    pairs = list(zip(as_json(), as_json(version=2), strict=True))

    assert [one["model_id"] for one, other in pairs if one != other] == [720]  # has a bladder
    assert all(one[key] == other[key] for one, other in pairs for key in quoted)
