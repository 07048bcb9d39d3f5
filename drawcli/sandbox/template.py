"""The template file of an upload, read as strictly as the server reads it."""

import re
from dataclasses import dataclass
from typing import Any, Final

import yaml

from drawcli.sandbox.catalogue import SandboxModel, find

_KEYS: Final = {"name", "protocol", "models"}
_MODEL_KEYS: Final = {"name", "config", "map", "trainer_name", "postprocess"}
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_LOWEST_MODEL_ID: Final = 11


class BadTemplate(Exception):
    """The template file is invalid; the text says where and why."""


@dataclass(frozen=True, slots=True)
class RequestedTemplate:
    """The requested template: its name, and the structures in the order of the file."""

    name: str
    structures: tuple[str, ...]


def read_template(text: bytes) -> RequestedTemplate:
    """Return the template, or raise `BadTemplate`.

    A name that is requested twice gives two structures of that name, as at the real server.
    """
    try:
        raw = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as err:
        raise BadTemplate(f"not YAML ({type(err).__name__})") from err
    _need_keys(raw, _KEYS, "template")
    if not (isinstance(raw["name"], str) and _NAME.fullmatch(raw["name"])):
        raise BadTemplate("name: not 1 to 128 characters of A-Z a-z 0-9 _ -")
    if not isinstance(raw["protocol"], str):
        raise BadTemplate("protocol: not text")
    models = raw["models"]
    if not (isinstance(models, dict) and models):
        raise BadTemplate("models: not a mapping with at least one model")
    names = [name for model_id, model in models.items() for name in _structures(model_id, model)]
    return RequestedTemplate(raw["name"], tuple(names))


def _structures(model_id: Any, raw: Any) -> list[str]:
    """Return the names requested from a model."""
    where = f"models.{model_id!r}"
    if not (_is_int(model_id) and model_id >= _LOWEST_MODEL_ID):
        raise BadTemplate(f"{where}: the id is not an integer above 10")
    model = find(model_id)
    if model is None:
        raise BadTemplate(f"{where}: no such model")
    _need_keys(raw, _MODEL_KEYS, where)
    _need_match(raw, model, where)
    if not (isinstance(raw["map"], dict) and raw["map"]):
        raise BadTemplate(f"{where}.map: not a mapping with at least one structure")
    for mapid, name in raw["map"].items():
        if not (_is_int(mapid) and mapid > 0):
            raise BadTemplate(f"{where}.map.{mapid!r}: the id is not an integer above 0")
        if mapid not in model.structures:
            raise BadTemplate(f"{where}.map.{mapid}: the model draws no such structure")
        if not (isinstance(name, str) and name):
            raise BadTemplate(f"{where}.map.{mapid}: the name is not text")
    return list(raw["map"].values())


def _need_match(raw: dict[str, Any], model: SandboxModel, where: str) -> None:
    """Check that name, configuration and trainer are those of the model."""
    expected = {"name": model.name, "config": model.config, "trainer_name": model.trainer}
    for key, value in expected.items():
        if raw[key] != value:
            raise BadTemplate(f"{where}.{key}: model {model.model_id} has {value}")
    postprocess = raw["postprocess"]
    if postprocess is not None and not isinstance(postprocess, str):
        raise BadTemplate(f"{where}.postprocess: neither text nor null")
    if postprocess == "null":
        raise BadTemplate(f'{where}.postprocess: the text "null", not a null')


def _need_keys(raw: Any, keys: set[str], where: str) -> None:
    if not isinstance(raw, dict):
        raise BadTemplate(f"{where}: not a mapping")
    if extra := sorted(str(key) for key in raw.keys() - keys):
        raise BadTemplate(f"{where}: unknown key {', '.join(extra)}")
    if missing := sorted(keys - raw.keys()):
        raise BadTemplate(f"{where}: missing key {', '.join(missing)}")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
