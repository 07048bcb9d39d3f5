"""How a sandbox behaves, where servers of different age and mood differ."""

from dataclasses import dataclass
from datetime import timedelta

from drawcli.sandbox.accounts import LIFETIME
from drawcli.sandbox.faults import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """The choices of whoever starts a sandbox; the defaults are those of today's server."""

    queue_seconds: float = 0.0  # how long a task is PENDING
    work_seconds: float = 0.0  # how long it is PROCESSING, on top of the drawing
    long_coordinates: bool = True  # longer than a DS may be, as today's server writes them
    honour_idempotency_key: bool = False  # an upload sent twice makes one task
    models_need_token: bool = True  # older servers show the catalogue to everybody
    answer_with_transaction_token: bool = False  # the older word for task_id
    ranges: bool = False  # a download may go on where it broke off
    token_lifetime: timedelta = LIFETIME
    faults: tuple[Fault, ...] = ()  # what goes wrong on purpose
