from drawcli.sandbox.catalogue import CATALOGUE, as_json, find


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
