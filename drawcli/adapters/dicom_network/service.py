"""What all associations of a listener share: settings, store, threads and counts."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TypeVar

from drawcli.adapters.dicom_network.commitments import CommitmentFolder
from drawcli.adapters.dicom_network.log_budget import LogBudget
from drawcli.core.dicom_service.association_answer import (
    NO_SUCH_APPLICATION,
    NO_SUCH_CALLER,
    NO_SUCH_VERSION,
    NOT_CALLED_SO,
    Rejection,
    Supported,
)
from drawcli.core.dicom_service.association_request import AssociationRequest
from drawcli.core.dicom_service.callers import Address, Caller, is_known
from drawcli.core.dicom_service.object_store import ObjectStore
from drawcli.core.dicom_service.tally import Tally

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Service:
    """The provider behind every association."""

    ae_title: str
    callers: Sequence[Caller]
    supported: Supported
    store: ObjectStore
    pool: Executor  # threads that call the store
    first_request_seconds: float
    idle_seconds: float
    largest: int  # bytes of a data set
    reports: CommitmentFolder | None = None  # of storage commitment; None: not taken
    tally: Tally = field(default_factory=Tally)
    budget: LogBudget = field(default_factory=LogBudget)

    def objection(self, request: AssociationRequest, address: Address) -> Rejection | None:
        """Return why an association is rejected; None if it is not."""
        checks = (
            (request.knows_version, NO_SUCH_VERSION),
            (request.knows_application, NO_SUCH_APPLICATION),
            (request.called == self.ae_title, NOT_CALLED_SO),
            (is_known(request.calling, address, self.callers), NO_SUCH_CALLER),
        )
        return next((why for is_well, why in checks if not is_well), None)

    async def in_thread(self, call: Callable[..., _T], *args: object) -> _T:
        """Return the result of a call that may block."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, call, *args)

    def discard(self, call: Callable[[], None]) -> None:
        """Let a thread make a call whose result does not matter."""
        self.pool.submit(call)
