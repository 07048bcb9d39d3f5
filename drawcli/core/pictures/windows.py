"""Grey windows: the values of an image shown as black and white."""

import re
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from drawcli.core.pictures.stack import Grey, Stack

_AIR: Final = re.compile(r"lung|bronch|trachea|pulmo|airway", re.IGNORECASE)
_BONE: Final = re.compile(
    r"bone|femoral|femur|humer|mandib|vertebra|skull|rib(?![a-z])|sacrum|iliac|pelvis",
    re.IGNORECASE,
)
_BRIGHTEST: Final = 99.5  # percentile of what is not background
_BACKGROUND: Final = 0.02  # times the brightest
_AIR_HU: Final = (-1350.0, 150.0)
_BONE_HU: Final = (-300.0, 1100.0)
_OF_CT: Final = {  # HU
    "lung": _AIR_HU,
    "bone": _BONE_HU,
    "mediastinum": (-125.0, 225.0),
    "abdomen": (-100.0, 200.0),
    "brain": (0.0, 80.0),
}
_LEVELS: Final = {"PT": (("dim", 2.0), ("hot", 0.5), ("hottest", 0.25))}
_OTHERS: Final = (("bright", 0.6), ("dark", 1.6))  # times the width from the lowest value


@dataclass(frozen=True, slots=True)
class Window:
    """The range of values shown in grey; `inverse`: the lowest is white."""

    low: float
    high: float
    inverse: bool = False

    @classmethod
    def of(cls, stack: Stack, modality: str) -> Self:
        """Return the usual window of a modality.

        CT: level 40, width 400 HU, soft tissue. MR: between percentiles of the foreground.
        PT: from zero to nearly the maximum, black on white as usual in nuclear medicine.
        """
        if modality == "CT":
            return cls(-160.0, 240.0)
        values = stack.sample()
        top = float(np.percentile(values, _BRIGHTEST))
        body = values[values > _BACKGROUND * top]
        if not body.size:
            return cls(float(values.min()), float(values.max()) + 1.0)
        if modality == "PT":
            return cls(0.0, float(np.percentile(body, _BRIGHTEST)), inverse=True)
        low, high = np.percentile(body, (1.0, _BRIGHTEST))
        return cls(float(low), float(high))

    def presets(self, modality: str) -> "dict[str, Window]":
        """Return windows to choose from by name; this one, the usual one, is the first."""
        if modality == "CT":
            others = {name: replace(self, low=a, high=b) for name, (a, b) in _OF_CT.items()}
            return {"soft tissue": self, **others}
        width = self.high - self.low
        scaled = _LEVELS.get(modality, _OTHERS)
        return {
            "usual": self,
            **{name: replace(self, high=self.low + width * part) for name, part in scaled},
        }

    def for_structure(self, name: str, modality: str) -> Self:
        """Return the window for a structure: of CT, own windows for lungs and bones."""
        if modality == "CT" and _AIR.search(name):
            return replace(self, low=_AIR_HU[0], high=_AIR_HU[1])
        if modality == "CT" and _BONE.search(name):
            return replace(self, low=_BONE_HU[0], high=_BONE_HU[1])
        return self

    def inverted(self) -> Self:
        """Return the window for MONOCHROME1 (PS3.3 C.7.6.3.1.2): the lowest value is white."""
        return replace(self, inverse=not self.inverse)

    def grey(self, values: Grey) -> npt.NDArray[np.uint8]:
        """Return the grey levels of values: 0 is black, 255 white."""
        scale = 255.0 / max(self.high - self.low, 1e-6)
        shown = np.clip((values - self.low) * scale, 0, 255).astype(np.uint8)
        return np.asarray(255 - shown if self.inverse else shown, np.uint8)
