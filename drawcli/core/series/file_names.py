"""What the name of an empty file says: a slice still to come, or a mark that somebody set.

Routers and copying programs leave empty files beside a series: `transfer.complete`, `.lock`.
A copy that has only begun is empty as well, under the name that the slice will have.
"""

import re
from typing import Final

# Of images, and of what a copying program writes before it renames it.
_ENDINGS: Final = frozenset(
    "dcm dicom dcim dc3 dic ima img image ct mr pt pet acr part partial filepart tmp temp "
    "crdownload download".split()
)
_OF_UID: Final = re.compile(r"[0-9]+")
_OF_COPY: Final = re.compile(r"\.(?P<name>.+)\.[A-Za-z0-9]{6}")  # rsync: .IM0001.dcm.aB3xYz


def may_be_image(name: str) -> bool:
    """Tell whether an empty file of this name may be an image whose bytes are still to come.

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
