"""The options of the archive, and the names of its faults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from drawcli.errors import UsageError

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
VERIFICATION: Final = "1.2.840.10008.1.1"
STUDY_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
COMMITMENT: Final = "1.2.840.10008.1.20.1"  # Storage Commitment Push Model
COMMITMENT_INSTANCE: Final = "1.2.840.10008.1.20.1.1"  # its well-known instance
AE_TITLE: Final = "SANDBOX"

# The operations of the DICOM network that a fault can name; those of DICOMweb are in `faults`.
OPERATIONS: Final = ("associate", "echo", "store", "find", "move", "get", "commit")
NOT_SLOW: Final = ("associate", "echo", "find", "commit")  # they carry few bytes
_ALL: Final = frozenset(OPERATIONS)
_RETRIEVE: Final = frozenset({"move", "get"})
# What an archive does wrong, and at which operations.
ARCHIVE_FAULTS: Final[dict[str, tuple[str, frozenset[str]]]] = {
    "full": ("out of resources: A700; STOW-RS: the failure reason", frozenset({"store", "stow"})),
    "reject": ("the association is rejected for now", frozenset({"associate"})),
    "abort": ("the association is aborted: at once, or after half of the results", _ALL),
    "stall": ("no answer until the peer gives up", _ALL - {"associate"}),
    "lost": ("the object is stored, and the association aborted", frozenset({"store"})),
    "lose": (
        "success, but the object, every second result, or the report of a commitment is missing",
        frozenset({"store", "find", "commit", "qido", "wado", "stow"}) | _RETRIEVE,
    ),
    "count": ("one more object completed than there is", _RETRIEVE),
    "other": ("an object of another study is sent, too", _RETRIEVE | {"wado"}),
    "ignore-keys": ("keys are ignored: everything matches", frozenset({"find", "qido"})),
    "fail": ("the commitment fails for every second object", frozenset({"commit"})),
    "unknown": ("the report is about an unknown transaction", frozenset({"commit"})),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PacsOptions:
    """Where the archive listens, and which nodes it knows."""

    ae_title: str = AE_TITLE
    host: str = "127.0.0.1"
    port: int = 0  # 0: a free port
    nodes: Mapping[str, tuple[str, int]] = field(default_factory=dict)  # AE title: host, port
    slices: int = 120  # of each phantom scan
    size: int = 512  # rows and columns of each slice

    def __post_init__(self) -> None:
        """Refuse every address but those of loopback."""
        if not {self.host, *(host for host, _port in self.nodes.values())} <= set(LOOPBACK):
            raise UsageError(
                "the archive of the sandbox listens and sends on loopback only",
                hint="Give 127.0.0.1 as the host.",
            )
