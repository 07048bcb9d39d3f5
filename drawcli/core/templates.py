"""Templates: which models and structures the server is asked for, and the file it is asked with.

The server's GPU job reads its template strictly and dies without a word on anything unexpected
(a string for an id, a key too many), so everything is checked here, before anything is sent.
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

PROTOCOL: Final = "DRAW"
NAME_PATTERN: Final = r"^[A-Za-z0-9_-]{1,128}$"  # a path component on the server
LOWEST_MODEL_ID: Final = 10  # ids are greater than this
LONGEST_ROI_NAME: Final = 64  # characters of ROIName (3006,0026), an LO


def _not_the_word_null(value: str | None) -> str | None:
    if value is not None and value.strip().casefold() in ("null", "none", ""):
        raise ValueError("write null without quotes, not the word in quotes")
    return value


def _each_once(structures: dict[int, str]) -> dict[int, str]:
    twice = [name for name, count in Counter(structures.values()).items() if count > 1]
    if twice:
        raise ValueError(f"structure named more than once: {', '.join(sorted(twice))}")
    return structures


def _comes_back_as_sent(name: str) -> str:
    """Refuse names that an LO changes: the structure would seem to be missing (PS3.5 6.2)."""
    if name != name.strip() or "\\" in name or not name.isprintable():
        raise ValueError("no blanks at the ends of a structure name, and no backslash in it")
    return name


_Word = Annotated[StrictStr, Field(min_length=1)]
_Structure = Annotated[
    StrictStr,
    Field(min_length=1, max_length=LONGEST_ROI_NAME),
    AfterValidator(_comes_back_as_sent),
]
_Volume = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _rising(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError("the least volume comes first, then the largest")
    return bounds


class Model(BaseModel):
    """One model of the server, and the structures wanted from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Word
    config: _Word
    trainer_name: _Word
    postprocess: Annotated[StrictStr | None, AfterValidator(_not_the_word_null)]
    map: Annotated[
        dict[Annotated[StrictInt, Field(gt=0)], _Structure],
        Field(min_length=1),
        AfterValidator(_each_once),
    ]


class Template(BaseModel):
    """One entry of templates.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = ""
    models: Annotated[
        dict[Annotated[StrictInt, Field(gt=LOWEST_MODEL_ID)], Model], Field(min_length=1)
    ]
    volume_cm3: dict[StrictStr, Annotated[tuple[_Volume, _Volume], AfterValidator(_rising)]] = {}

    @model_validator(mode="after")
    def _bounds_of_its_own(self) -> Self:
        foreign = sorted(self.volume_cm3.keys() - set(self.structures))
        if foreign:
            raise ValueError(
                f"volume_cm3 names structures that no model draws: {', '.join(foreign)}"
            )
        return self

    @property
    def structures(self) -> tuple[str, ...]:
        """The names of the structures, in the order of the file."""
        return tuple(name for model in self.models.values() for name in model.map.values())

    @property
    def twice(self) -> tuple[str, ...]:
        """Names that several models would draw: the RTSTRUCT would have two ROIs of one name."""
        return tuple(name for name, count in Counter(self.structures).items() if count > 1)


def server_file(name: str, template: Template) -> bytes:
    """Return the template file that goes into the zip: exactly the keys the server wants.

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
    """Return the structure names of a template file as it was sent."""
    plain = yaml.safe_load(server_template)
    return tuple(name for model in plain["models"].values() for name in model["map"].values())
