"""Templates: the models and structures requested from the server, and the file that is sent.

The server's GPU job fails without a message on anything unexpected in the file (a string as an id,
an extra key), so everything is checked here, before anything is sent.
"""

import hashlib
import json
from collections import Counter
from typing import Any, Final

import yaml

from drawcli.core.templates.appearance import (
    STRUCTURE_NAME,
    Derived,
    Empty,
    Look,
    Structure,
    look_problems,
)
from drawcli.system.kinds import TEXT, keyed, maybe, section, text, whole
from drawcli.system.records import Record, required, setting

PROTOCOL: Final = "DRAW"
NAME_PATTERN: Final = r"^[A-Za-z0-9_-]{1,128}$"  # a path component on the server
LOWEST_MODEL_ID: Final = 10  # ids are greater than this


def _not_the_word_null(value: str) -> str:
    if value.strip().casefold() in ("null", "none", ""):
        raise ValueError("write null without quotes")
    return value


def _each_once(structures: dict[int, str]) -> dict[int, str]:
    repeated = [name for name, count in Counter(structures.values()).items() if count > 1]
    if repeated:
        raise ValueError(f"structure named more than once: {', '.join(sorted(repeated))}")
    return structures


_WORD: Final = text(least=1)


class Model(Record):
    """A model of the server, and the structures requested from it."""

    name: str = required(_WORD)
    config: str = required(_WORD)
    trainer_name: str = required(_WORD)
    postprocess: str | None = required(maybe(text(check=_not_the_word_null)))
    map: dict[int, str] = required(
        keyed(STRUCTURE_NAME, whole(above=0, strict=True), least=1, check=_each_once)
    )


class Template(Record):
    """An entry of templates.yaml."""

    description: str = setting("", TEXT)
    models: dict[int, Model] = required(
        keyed(section(Model), whole(above=LOWEST_MODEL_ID, strict=True), least=1)
    )
    structures: dict[str, Structure] = setting({}, keyed(section(Structure), TEXT))
    derived: dict[str, Derived] = setting({}, keyed(section(Derived), STRUCTURE_NAME))
    empty: dict[str, Empty] = setting({}, keyed(section(Empty), STRUCTURE_NAME))

    def check(self) -> None:
        """Refuse structures that do not fit together."""
        problems = look_problems(frozenset(self.drawn), self.structures, self.derived, self.empty)
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def drawn(self) -> tuple[str, ...]:
        """The names of the structures that the models draw, in the order of the file."""
        return tuple(name for model in self.models.values() for name in model.map.values())

    @property
    def shown(self) -> tuple[str, ...]:
        """The names of the structures in the planning system: ROIName (3006,0026)."""
        looks: dict[str, Look | None] = {name: self.structures.get(name) for name in self.drawn}
        looks |= {name: rule for name, rule in self.derived.items() if not rule.hidden}
        looks |= self.empty
        return tuple((look and look.label) or name for name, look in looks.items())

    @property
    def contours_digest(self) -> str:
        """The SHA-256 of all that contours depend on: models and derivations, not looks."""
        plain = self.as_plain()
        derived = {
            name: {key: value for key, value in rule.items() if key not in Look.fields}
            for name, rule in plain["derived"].items()
        }
        text = json.dumps([plain["models"], derived], sort_keys=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    @property
    def duplicate_names(self) -> tuple[str, ...]:
        """Names that several models would draw, which would give two ROIs of one name."""
        return tuple(name for name, count in Counter(self.drawn).items() if count > 1)


def from_json(kept: bytes) -> Template:
    """Return a template from JSON, where the numbers of models and structures are texts."""
    plain = json.loads(kept)
    for model in plain["models"].values():
        model["map"] = {int(number): name for number, name in model["map"].items()}
    models = {int(number): model for number, model in plain["models"].items()}
    return Template(**plain | {"models": models})


def server_file(name: str, template: Template) -> bytes:
    """Return the template file of the package, with exactly the keys that the server expects.

    Examples
    --------
    >>> model = Model(name="M", config="2d", trainer_name="T", postprocess=None, map={1: "Bladder"})
    >>> print(server_file("Pelvis", Template(models={720: model})).decode(), end="")
    name: Pelvis
    protocol: DRAW
    models:
      720:
        name: M
        config: 2d
        map:
          1: Bladder
        trainer_name: T
        postprocess: null
    """
    plain: dict[str, Any] = {
        "name": name,
        "protocol": PROTOCOL,
        "models": {
            number: {
                "name": model.name,
                "config": model.config,
                "map": dict(model.map),
                "trainer_name": model.trainer_name,
                "postprocess": model.postprocess,
            }
            for number, model in template.models.items()
        },
    }
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).encode("utf-8")


def structures_of(server_template: bytes) -> tuple[str, ...]:
    """Return the structure names of a template file of a package."""
    plain = yaml.safe_load(server_template)
    return tuple(name for model in plain["models"].values() for name in model["map"].values())
