"""Delivers structure sets: into a folder, and to a DICOM node where the site has one."""

from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from drawcli.adapters.delivery.target import DeliveryTarget
    from drawcli.config.load import Settings


def folder_of(settings: "Settings") -> "DeliveryTarget":
    """Return the folder of a site, which each structure set is delivered to."""
    from drawcli.adapters.delivery.folder import DeliveryFolder

    folder = settings.deliver.folder
    return DeliveryFolder(
        folder if isinstance(folder, Path) else None, settings.scan.answer_seconds
    )


def targets_of(settings: "Settings") -> "list[Callable[[], DeliveryTarget]]":
    """Return a function for each target of a site, in order of delivery, that opens it once.

    The folder is first: it receives structure sets even if a later target cannot be opened.
    """
    targets: list[Callable[[], DeliveryTarget]] = [cache(partial(folder_of, settings))]
    if settings.deliver.node:
        from drawcli.adapters.delivery.dicom_node import opened

        targets.append(cache(partial(opened, settings.deliver)))
    return targets
