"""The health of what a site has on the network; what reads it is imported where it is used."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drawcli.config.load import Settings
    from drawcli.operations.pull.health import PullHealth
    from drawcli.operations.receive.health import ReceiverHealth


def receiver_of(state_dir: Path) -> "ReceiverHealth":
    """Return the health of the listener of a site."""
    from drawcli.operations.receive.health import ReceiverHealth

    return ReceiverHealth.of(state_dir)


def pulls_of(settings: "Settings") -> "PullHealth | None":
    """Return the health of the archives of a site; None without any."""
    if not settings.pull.sources:
        return None
    from drawcli.operations.pull.health import PullHealth

    return PullHealth.of(settings)
