"""The SOP classes and transfer syntaxes that a site receives, by its settings."""

from typing import TYPE_CHECKING

from drawcli.config.sections_network import OF_CONTOUR_QA, STORAGE_CLASSES
from drawcli.core.deid.table_single_frame import SYNTAXES
from drawcli.core.dicom.sop_classes import IMAGE_CLASSES
from drawcli.core.dicom_service.association_answer import Supported

if TYPE_CHECKING:
    from drawcli.config.load import Settings


def supported_by(settings: "Settings") -> Supported:
    """Return the storage classes and transfer syntaxes that a site receives."""
    of_qa = [STORAGE_CLASSES[name] for name in OF_CONTOUR_QA] if settings.qa.enabled else []
    wanted = settings.receive
    return Supported(
        frozenset([*IMAGE_CLASSES, *of_qa, *wanted.storage_classes]),
        frozenset([*SYNTAXES, *wanted.transfer_syntaxes]),
        has_reports=takes_reports(settings),
    )


def takes_reports(settings: "Settings") -> bool:
    """Return whether a target of structure sets reports storage commitment."""
    return any(target.commitment for target in settings.deliver.targets)
