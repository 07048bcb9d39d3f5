"""Templates: the models and structures requested from the server, and the file that is sent.

The server's GPU job fails without a message on anything unexpected in the file (a string as an id,
an extra key), so everything is checked here, before anything is sent.
"""

from collections import Counter
from typing import Annotated, Any, Final, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    model_validator,
)

from drawcli.core.templates.appearance import (
    Derived,
    Empty,
    Look,
    Structure,
    StructureName,
    look_problems,
)

PROTOCOL: Final = "DRAW"
NAME_PATTERN: Final = r"^[A-Za-z0-9_-]{1,128}$"  # a path component on the server
LOWEST_MODEL_ID: Final = 10  # ids are greater than this


def _not_the_word_null(value: str | None) -> str | None:
    if value is not None and value.strip().casefold() in ("null", "none", ""):
        raise ValueError("write null without quotes")
    return value


def _each_once(structures: dict[int, str]) -> dict[int, str]:
    repeated = [name for name, count in Counter(structures.values()).items() if count > 1]
    if repeated:
        raise ValueError(f"structure named more than once: {', '.join(sorted(repeated))}")
    return structures


_Word = Annotated[StrictStr, Field(min_length=1)]


class Model(BaseModel):
    """A model of the server, and the structures requested from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Word
    config: _Word
    trainer_name: _Word
    postprocess: Annotated[StrictStr | None, AfterValidator(_not_the_word_null)]
    map: Annotated[
        dict[Annotated[StrictInt, Field(gt=0)], StructureName],
        Field(min_length=1),
        AfterValidator(_each_once),
    ]


class Template(BaseModel):
    """An entry of templates.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = ""
    models: Annotated[
        dict[Annotated[StrictInt, Field(gt=LOWEST_MODEL_ID)], Model], Field(min_length=1)
    ]
    structures: dict[StrictStr, Structure] = {}
    derived: dict[StructureName, Derived] = {}
    empty: dict[StructureName, Empty] = {}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = look_problems(frozenset(self.drawn), self.structures, self.derived, self.empty)
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def drawn(self) -> tuple[str, ...]:
        """The names of the structures that the models draw, in the order of the file."""
        return tuple(name for model in self.models.values() for name in model.map.values())

    @property
    def shown(self) -> tuple[str, ...]:
        """The names of the structures in the planning system: ROIName (3006,0026)."""
        looks: dict[str, Look | None] = {name: self.structures.get(name) for name in self.drawn}
        looks |= self.derived
        looks |= self.empty
        return tuple((look and look.label) or name for name, look in looks.items())

    @property
    def duplicate_names(self) -> tuple[str, ...]:
        """Names that several models would draw, which would give two ROIs of one name."""
        return tuple(name for name, count in Counter(self.drawn).items() if count > 1)


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
