"""Return structure sets to the node that sent the images: `sender: true`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

from drawcli.adapters.delivery.dicom_node import DicomNode, opened_target
from drawcli.adapters.delivery.target import Delivery, Remark
from drawcli.errors import NeedsPerson

if TYPE_CHECKING:
    from drawcli.config.load import Settings
    from drawcli.config.sections_targets import Target


@dataclass(frozen=True, slots=True)
class SenderTarget:
    """The nodes of `deliver.senders`; each structure set goes to the sender of its images."""

    nodes: Mapping[str, Callable[[], DicomNode]]  # by the AE title that sends images

    def describe(self) -> str:
        """Return its name for messages."""
        return "the node that sent the images"

    def check(self) -> Remark | None:
        """Test every node of the table; raise TryLater for the first that does not answer."""
        remarks = [open_node().check() for open_node in self.nodes.values()]
        return next(filter(None, remarks), None)

    def send(self, delivery: Delivery) -> str:
        """Send a structure set to the sender of its images; see `DicomNode.send`.

        Raises
        ------
        NeedsPerson
            If the sender is not known, or not in the table.
        """
        open_node = self.nodes.get(delivery.sender())
        if open_node is None:
            raise NeedsPerson(
                "deliver.senders has no node for the AE title that sent the images",
                code="no-sender",
                hint="It is element (0002,0016) of the images. Add it, then release the job.",
            )
        return open_node().send(delivery)


def opened_sender(target: "Target", settings: "Settings") -> SenderTarget:
    """Return the target of a site; its nodes are opened when they are needed."""
    return SenderTarget(
        {
            title: cache(
                partial(
                    opened_target,
                    target.replace(node=node, sender=False),
                    settings.deliver.ae_title,
                    settings.state_dir,
                    settings.receive,
                )
            )
            for title, node in settings.deliver.senders.items()
        }
    )
