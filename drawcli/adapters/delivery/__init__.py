"""Delivers structure sets: into folders, to DICOM nodes and to DICOMweb archives."""

from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drawcli.adapters.delivery.target import DeliveryTarget, SiteTarget
    from drawcli.config.load import Settings
    from drawcli.config.sections_targets import Target


def folder_of(settings: "Settings", folder: str | Path | None = None) -> "DeliveryTarget":
    """Return a folder that structure sets are delivered to; None: that of the short form."""
    from drawcli.adapters.delivery.folder import DeliveryFolder

    folder = settings.deliver.folder if folder is None else folder
    return DeliveryFolder(
        folder if isinstance(folder, Path) else None, settings.scan.answer_seconds
    )


def targets_of(settings: "Settings") -> "list[SiteTarget]":
    """Return the targets of a site, in order; each is opened once, when it is needed.

    In the short form the folder is first: it receives structure sets even if the node cannot be
    opened.
    """
    from drawcli.adapters.delivery.target import SiteTarget

    deliver = settings.deliver
    if deliver.targets:
        return [
            SiteTarget(target.name, cache(partial(opened, target, settings)), target.required)
            for target in deliver.targets
        ]
    targets = [SiteTarget(str(deliver.folder), cache(partial(folder_of, settings)))]
    if deliver.node:
        from drawcli.adapters.delivery.dicom_node import opened as opened_node

        targets.append(SiteTarget(deliver.node, cache(partial(opened_node, deliver))))
    return targets


def opened(target: "Target", settings: "Settings") -> "DeliveryTarget":
    """Return a target of the list; raise ConfigError if it cannot be used on this machine."""
    if target.node:
        from drawcli.adapters.delivery.dicom_node import opened_target

        title, state = settings.deliver.ae_title, settings.state_dir
        return opened_target(target, title, state, settings.receive)
    if target.stow:
        from drawcli.adapters.delivery.stow import opened_stow

        return opened_stow(target)
    if target.sender:
        from drawcli.adapters.delivery.sender import opened_sender

        return opened_sender(target, settings)
    return folder_of(settings, target.folder)
