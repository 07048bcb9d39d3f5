"""Whether an empty file is a slice still being copied, or a marker file, by its name.

Routers and copying programs leave empty marker files in the folder: `transfer.complete`, `.lock`.
A copy that has just begun is empty too, with the name of the slice.
"""

import re
from typing import Final

# Of images, and of temporary files of copying programs.
_ENDINGS: Final = frozenset(
    "dcm dicom dcim dc3 dic ima img image ct mr pt pet acr part partial filepart tmp temp "
    "crdownload download".split()
)
_OF_UID: Final = re.compile(r"[0-9]+")
_OF_COPY: Final = re.compile(r"\.(?P<name>.+)\.[A-Za-z0-9]{6}")  # rsync: .IM0001.dcm.aB3xYz


def may_be_image(name: str) -> bool:
    """Return whether an empty file of this name may be an image that is being copied.

    >>> [may_be_image(name) for name in ("IM7.dcm", "IM7", "1.2.840.77", ".IM7.dcm.aB3xYz")]
    [True, True, True, True]
    >>> [may_be_image(name) for name in ("transfer.complete", ".lock", "READY", "IM0007.dcm.ok")]
    [False, False, False, False]
    """
    copied = _OF_COPY.fullmatch(name)
    stem, dot, ending = (copied["name"] if copied else name).lstrip(".").rpartition(".")
    if dot and stem and not _OF_UID.fullmatch(ending):
        return ending.lower() in _ENDINGS
    return any(char.isdigit() for char in name)
