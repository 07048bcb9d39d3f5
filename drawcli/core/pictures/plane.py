"""The planes of a patient: what is to the right of a picture, and what is down."""

from enum import StrEnum


class Plane(StrEnum):
    """How a picture cuts through the patient."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"

    @property
    def normal(self) -> int:
        """The axis of the frame that the plane stands on: 0 to the left, 1 back, 2 head."""
        return {Plane.SAGITTAL: 0, Plane.CORONAL: 1, Plane.AXIAL: 2}[self]

    @property
    def right(self) -> tuple[int, int]:
        """The axis that grows to the right of the picture, and its sign."""
        return (1, 1) if self is Plane.SAGITTAL else (0, 1)

    @property
    def down(self) -> tuple[int, int]:
        """The axis that grows to the bottom of the picture, and its sign."""
        return (1, 1) if self is Plane.AXIAL else (2, -1)
