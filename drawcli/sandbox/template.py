"""The template file of an upload, read as strictly as the server's segmentation job reads it."""

import re
from dataclasses import dataclass
from typing import Any, Final

import yaml

from drawcli.sandbox.catalogue import CATALOGUE, Catalogue, SandboxModel, find

_KEYS: Final = {"name", "protocol", "models"}
_MODEL_KEYS: Final = {"name", "config", "map", "trainer_name", "postprocess"}
_NAME: Final = re.compile(r"(?!\.)[^/\\\x00-\x1f]{1,128}")  # a folder of that name is made
_NO_POSTPROCESS: Final = (None, "", "null")
_LOWEST_MODEL_ID: Final = 11


class BadTemplate(Exception):
    """The template file is invalid; the text says where and why."""


@dataclass(frozen=True, slots=True)
class RequestedTemplate:
    """The requested template: its name, and the structures in the order of the file."""

    name: str
    structures: tuple[str, ...]
    undrawn: frozenset[int] = frozenset()  # places of those that no model draws: they stay empty


def read_template(text: bytes, catalogue: Catalogue = CATALOGUE) -> RequestedTemplate:
    """Return the template, or raise `BadTemplate`.

    A name that is requested twice gives two structures of that name, as at the real server.
    """
    try:
        raw = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as err:
        raise BadTemplate(f"not YAML ({type(err).__name__})") from err
    _need_keys(raw, _KEYS, "template")
    if not (isinstance(raw["name"], str) and _NAME.fullmatch(raw["name"])):
        raise BadTemplate("name: not 1 to 128 characters that a folder can be called")
    if not isinstance(raw["protocol"], str):
        raise BadTemplate("protocol: not text")
    models = raw["models"]
    if not (isinstance(models, dict) and models):
        raise BadTemplate("models: not a mapping with at least one model")
    requested = [
        structure
        for model_id, model in models.items()
        for structure in _structures(model_id, model, catalogue)
    ]
    undrawn = (place for place, (_name, is_drawn) in enumerate(requested) if not is_drawn)
    names = tuple(name for name, _is_drawn in requested)
    return RequestedTemplate(raw["name"], names, frozenset(undrawn))


def _structures(model_id: Any, raw: Any, catalogue: Catalogue) -> list[tuple[str, bool]]:
    """Return the names requested from a model, each with whether the model draws it."""
    where = f"models.{model_id!r}"
    if not (_is_int(model_id) and model_id >= _LOWEST_MODEL_ID):
        raise BadTemplate(f"{where}: the id is not an integer above 10")
    model = find(model_id, catalogue)
    if model is None:
        raise BadTemplate(f"{where}: no such model")
    _need_keys(raw, _MODEL_KEYS, where)
    _need_match(raw, model, where)
    if not (isinstance(raw["map"], dict) and raw["map"]):
        raise BadTemplate(f"{where}.map: not a mapping with at least one structure")
    for mapid, name in raw["map"].items():
        if not (_is_int(mapid) and mapid > 0):
            raise BadTemplate(f"{where}.map.{mapid!r}: the id is not an integer above 0")
        if not (isinstance(name, str) and name):
            raise BadTemplate(f"{where}.map.{mapid}: the name is not text")
    return [(name, mapid in model.structures) for mapid, name in raw["map"].items()]


def _need_match(raw: dict[str, Any], model: SandboxModel, where: str) -> None:
    """Check that name, configuration and trainer are those of the model."""
    expected = {"name": model.name, "config": model.config, "trainer_name": model.trainer}
    for key, value in expected.items():
        if raw[key] != value:
            raise BadTemplate(f"{where}.{key}: model {model.model_id} has {value}")
    postprocess = raw["postprocess"]
    if postprocess is not None and not isinstance(postprocess, str):
        raise BadTemplate(f"{where}.postprocess: neither text nor null")
    if postprocess not in (*_NO_POSTPROCESS, model.postprocess):
        raise BadTemplate(f"{where}.postprocess: there is no such file")


def _need_keys(raw: Any, keys: set[str], where: str) -> None:
    if not isinstance(raw, dict):
        raise BadTemplate(f"{where}: not a mapping")
    if extra := sorted(str(key) for key in raw.keys() - keys):
        raise BadTemplate(f"{where}: unknown key {', '.join(extra)}")
    if missing := sorted(keys - raw.keys()):
        raise BadTemplate(f"{where}: missing key {', '.join(missing)}")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
