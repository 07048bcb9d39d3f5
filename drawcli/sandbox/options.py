"""The options of a sandbox, for differences between versions of the server."""

from dataclasses import dataclass
from datetime import timedelta

from drawcli.sandbox.accounts import LIFETIME
from drawcli.sandbox.faults import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """The behaviour of a sandbox; the defaults are those of the present server."""

    queue_seconds: float = 0.0  # time in PENDING
    work_seconds: float = 0.0  # time in PROCESSING, in addition to the drawing
    long_coordinates: bool = True  # longer than a DS allows, as the present server writes them
    honour_idempotency_key: bool = False  # a repeated upload returns the same task
    models_need_token: bool = True  # older servers show the catalogue without a token
    answer_with_transaction_token: bool = False  # the older name of task_id
    ranges: bool = False  # an interrupted download can be resumed
    token_lifetime: timedelta = LIFETIME
    faults: tuple[Fault, ...] = ()
