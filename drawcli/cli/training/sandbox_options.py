"""The options of `sandbox` that say how it behaves."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drawcli.errors import UsageError
from drawcli.system.packages import not_installed

if TYPE_CHECKING:
    from drawcli.core.protocol.dicom_address import Node
    from drawcli.sandbox.options import SandboxOptions
    from drawcli.sandbox.pacs.options import PacsOptions

DelayOption = Annotated[
    float, typer.Option("--delay", help="Extra seconds per segmentation.", min=0)
]
ShortOption = Annotated[
    bool,
    typer.Option("--short-coordinates", help="Write no coordinate longer than a DS allows."),
]
DialectOption = Annotated[
    int, typer.Option("--dialect", help="Answer as DRAW client 1 or 2 expects.", min=1, max=2)
]
RealisticOption = Annotated[
    bool,
    typer.Option("--realistic", help="Fail as the real server's job does: without a reason."),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Refuse requests that no DRAW client sends.")
]
CatalogueOption = Annotated[
    Path | None,
    typer.Option(
        "--catalogue", help="Offer the models of a site's catalogue.json.", metavar="FILE"
    ),
]
VersionOption = Annotated[
    int,
    typer.Option("--model-version", help="2 draws the bladder 2 mm larger than 1.", min=1, max=2),
]
SameCatalogueOption = Annotated[
    bool,
    typer.Option("--same-catalogue", help="Do not show model version 2 in the catalogue."),
]
FaultOption = Annotated[
    str,
    typer.Option(
        "--fault",
        help="Faults to inject, such as upload:500*2,status:html; 'list' shows all.",
        metavar="FAULTS",
    ),
]
PacsOption = Annotated[
    str,
    typer.Option(
        "--pacs",
        help="Also run an archive (PACS) with the phantoms, by DICOM here and by DICOMweb.",
        metavar="[AE@]HOST:PORT",
    ),
]
PacsNodeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--pacs-node",
        help="A node on this machine that the archive sends to (C-MOVE). Repeat it for more.",
        metavar="AE@HOST:PORT",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxBehaviour:
    """The options of `sandbox` that say how it answers."""

    delay: DelayOption = 0.0
    short_coordinates: ShortOption = False
    ranges: Annotated[bool, typer.Option("--ranges", help="Resume broken downloads.")] = False
    dialect: DialectOption = 2
    realistic: RealisticOption = False
    strict: StrictOption = False
    catalogue: CatalogueOption = None
    model_version: VersionOption = 1
    same_catalogue: SameCatalogueOption = False
    fault: FaultOption = ""
    pacs: PacsOption = ""
    pacs_node: PacsNodeOption = None

    def options(self) -> "SandboxOptions":
        """Return them in the form of the sandbox."""
        from drawcli.sandbox.catalogue import CATALOGUE, read_catalogue
        from drawcli.sandbox.faults import read_faults
        from drawcli.sandbox.options import SandboxOptions

        return SandboxOptions(
            dialect=1 if self.dialect == 1 else 2,
            realistic=self.realistic,
            strict=self.strict,
            catalogue=CATALOGUE if self.catalogue is None else read_catalogue(self.catalogue),
            model_version=2 if self.model_version > 1 else 1,
            same_catalogue=self.same_catalogue,
            work_seconds=self.delay,
            long_coordinates=not self.short_coordinates,
            ranges=self.ranges,
            faults=read_faults(self.fault),
            pacs=_pacs_options(self.pacs, self.pacs_node or []),
        )


def _pacs_options(address: str, nodes: list[str]) -> "PacsOptions | None":
    """Return the options of the archive, or None without --pacs."""
    from drawcli.core.protocol.dicom_address import parse_node
    from drawcli.sandbox.pacs.options import AE_TITLE, PacsOptions

    def parsed(option: str, text: str) -> "Node":
        try:
            return parse_node(text)
        except ValueError as err:
            hint = f"Example: {option} {AE_TITLE}@127.0.0.1:11113."
            raise UsageError(f"{option}: '{text}' {err}", hint=hint) from None

    if not address:
        if nodes:
            raise UsageError("--pacs-node needs --pacs", hint="Add --pacs 127.0.0.1:11113.")
        return None
    own = parsed("--pacs", address if "@" in address else f"{AE_TITLE}@{address}")
    known = [parsed("--pacs-node", node) for node in nodes]
    return PacsOptions(
        ae_title=own.ae_title,
        host=own.host,
        port=own.port,
        nodes={node.ae_title: (node.host, node.port) for node in known},
    )


def check_pacs(options: "SandboxOptions") -> None:
    """Refuse an archive without its package, and faults of an archive that does not run."""
    of_archive = [fault for fault in options.faults if fault.is_of_archive]
    if options.pacs is None:
        if of_archive:
            raise UsageError(
                f"--fault: '{of_archive[0].endpoint}:{of_archive[0].what}' needs --pacs",
                hint="Add --pacs 127.0.0.1:11113.",
            )
        return
    try:
        import drawcli.sandbox.pacs.dimse  # noqa: F401 - to learn whether pynetdicom is there
    except ImportError:
        raise not_installed("the archive of the sandbox (--pacs)", "dicom-net") from None
