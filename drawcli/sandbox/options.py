"""The options of a sandbox: the version of the server, and how exactly it behaves as the server."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from drawcli.sandbox.accounts import LIFETIME
from drawcli.sandbox.catalogue import CATALOGUE, Catalogue
from drawcli.sandbox.faults import Fault
from drawcli.sandbox.pacs.options import PacsOptions

Dialect = Literal[1, 2]
ModelVersion = Literal[1, 2]


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """The behaviour of a sandbox; the defaults are those of the present server."""

    dialect: Dialect = 2  # the first or the second DRAW client; see docs/protocol.md
    realistic: bool = False  # the job takes what the real one takes, and fails without a reason
    strict: bool = False  # requests that no client sends are refused
    catalogue: Catalogue = CATALOGUE
    model_version: ModelVersion = 1  # 2: the bladder is 2 mm larger on all sides
    same_catalogue: bool = False  # the catalogue does not show the second version
    queue_seconds: float = 0.0  # time in PENDING
    work_seconds: float = 0.0  # time in PROCESSING, in addition to the drawing
    long_coordinates: bool = True  # longer than a DS allows, as the present server writes them
    honour_idempotency_key: bool = False  # a repeated upload returns the same task
    ranges: bool = False  # an interrupted download can be resumed
    token_lifetime: timedelta = LIFETIME
    faults: tuple[Fault, ...] = ()
    pacs: PacsOptions | None = None  # no archive
