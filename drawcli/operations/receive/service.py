"""Services that keep `drawcli receive` running: systemd, launchd, Task Scheduler of Windows."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drawcli.operations import schedules
from drawcli.operations.schedules import (
    Schedule,
    ScheduledSite,
    Scheduler,
    place_of,
    text_of,
)
from drawcli.system.platforms import system

if TYPE_CHECKING:
    from drawcli.config.load import Settings

_PRIVILEGED: Final = 1024  # ports below it need a capability
_BIND: Final = "CAP_NET_BIND_SERVICE"


def usual_here() -> Scheduler:
    """Return what keeps services running on this operating system."""
    here = {"windows": Scheduler.WINDOWS, "macos": Scheduler.LAUNCHD}
    return here.get(system(), Scheduler.SYSTEMD)


def receive_service(scheduler: Scheduler, config: Path, settings: "Settings") -> Schedule | None:
    """Return the files and commands that keep the listener of a site running.

    None for a scheduler that starts programs by the clock only.
    """
    if scheduler not in _MAKERS:
        return None
    folder = settings.receive.folder
    place = replace(
        place_of(config, settings), command="receive", writable=(folder,) if folder else ()
    )
    return service_at(scheduler, place, settings.receive.address[1])


def service_at(scheduler: Scheduler, place: ScheduledSite, port: int) -> Schedule:
    """Return the service of a listener, by the facts of its site."""
    return _MAKERS[scheduler](place, port)


def _for_systemd(place: ScheduledSite, port: int) -> Schedule:
    bind = _BIND if 0 < port < _PRIVILEGED else ""
    facts = schedules.unit_facts(place) | {"capabilities": bind}
    name = f"{place.name}-receive.service"
    return schedules.service_unit(name, text_of("drawcli-receive.service", facts))


def _for_launchd(place: ScheduledSite, _port: int) -> Schedule:
    return schedules.for_launchd(place, "-receive")


def _for_windows(place: ScheduledSite, _port: int) -> Schedule:
    return schedules.for_windows(place, "-receive", "install-receive")


_MAKERS: Final = {
    Scheduler.SYSTEMD: _for_systemd,
    Scheduler.LAUNCHD: _for_launchd,
    Scheduler.WINDOWS: _for_windows,
}
