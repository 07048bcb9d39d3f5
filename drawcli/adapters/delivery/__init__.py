"""Delivers structure sets: into a folder, and to a DICOM node where the site has one."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drawcli.adapters.delivery.target import DeliveryTarget
    from drawcli.config.load import Settings


def folder_of(settings: "Settings") -> "DeliveryTarget":
    """Return the folder of a site, which each structure set is delivered to."""
    from drawcli.adapters.delivery.folder import DeliveryFolder

    folder = settings.deliver.folder
    return DeliveryFolder(
        folder if isinstance(folder, Path) else None, settings.scan.answer_seconds
    )


def targets_of(settings: "Settings") -> "list[DeliveryTarget]":
    """Return every target of a site, in the order in which they are sent to; the folder first."""
    targets = [folder_of(settings)]
    if settings.deliver.node:
        from drawcli.adapters.delivery.dicom_node import opened

        targets.append(opened(settings.deliver))
    return targets
