"""Which SOP classes and transfer syntaxes are offered to an archive that sends a series."""

from collections.abc import Iterable, Iterator

from drawcli.core.dicom.header import NATIVE
from drawcli.core.dicom.sop_classes import IMAGE_CLASSES
from drawcli.core.dicom_service.association_answer import Supported
from drawcli.core.pull.answers import ArchivedInstance, ArchivedSeries


def wanted_of(
    instances: Iterable[ArchivedInstance], supported: Supported
) -> tuple[list[ArchivedInstance], int]:
    """Return the instances that are received, and how many are of other SOP classes.

    An instance whose class the archive does not say is wanted.
    """
    found = list(instances)
    wanted = [one for one in found if not one.sop_class or one.sop_class in supported[0]]
    return wanted, len(found) - len(wanted)


def storage_offers(
    series: ArchivedSeries, instances: Iterable[ArchivedInstance], supported: Supported
) -> Iterator[tuple[str, str]]:
    """Yield SOP classes with transfer syntaxes, for the instances of a series.

    Where the archive does not say a class: those of the modality, then those that are no images.
    """
    said = dict.fromkeys(one.sop_class for one in instances)
    classes = [uid for uid in said if uid in supported.storage_classes]
    if "" in said or not classes:
        modality = series.modality
        classes += [uid for uid, of in IMAGE_CLASSES.items() if of == modality]
        classes += sorted(supported.storage_classes - IMAGE_CLASSES.keys())
    for sop_class in dict.fromkeys(classes):
        images = sop_class in IMAGE_CLASSES
        syntaxes = supported.transfer_syntaxes if images else NATIVE
        yield from ((sop_class, syntax) for syntax in sorted(syntaxes, key=_native_first))


def _native_first(syntax: str) -> tuple[bool, str]:
    return syntax not in NATIVE, syntax
