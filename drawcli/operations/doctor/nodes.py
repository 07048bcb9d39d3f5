"""Check the DICOM nodes and DICOMweb archives of a site: `drawcli nodes check`."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from drawcli.adapters.delivery.probe import TargetProbe
from drawcli.errors import OutOfReach, UsageError
from drawcli.operations.doctor.tls_text import tls_text
from drawcli.pipeline.pull.pull import named_sources
from drawcli.system.records import suggest

if TYPE_CHECKING:
    from drawcli.config.load import Settings
    from drawcli.config.sections_targets import Target
    from drawcli.operations.pull.check import SourceCheck


class NodeCheck(NamedTuple):
    """A target and what was found."""

    name: str  # AE_TITLE@host:port, or the base address of an archive
    required: bool
    wants_commitment: bool
    probe: TargetProbe

    @property
    def note(self) -> str:
        """What is said of it beside its name."""
        return "" if self.required else " (optional)"

    def facts(self, now: datetime) -> list[tuple[str, str]]:
        """Return what was found as titles and texts."""
        probe = self.probe
        tls = tls_text(probe.tls, probe.certificate_until, now, reachable=probe.reachable)
        facts = [("reachable", "yes" if probe.reachable else "no"), ("TLS", tls)]
        if probe.association is not None:
            facts.append(("association", "accepted" if probe.association else "not accepted"))
        if probe.contexts is not None:
            facts.append(("RTSTRUCT", ", ".join(probe.contexts) or "not accepted"))
        if probe.echo is not None:
            facts.append(("C-ECHO", "answered" if probe.echo else "not answered"))
        if probe.commitment is not None:
            needed = "" if self.wants_commitment else "; not asked for"
            facts.append(("commitment", ("" if probe.commitment else "not ") + f"offered{needed}"))
        if probe.reachable and probe.association is None:
            known = {True: "answered", False: "not accepted", None: "known with the first file"}
            facts.append(("STOW-RS", known[probe.stow]))
        return [*facts, ("result", probe.failure or "accepts structure sets")]

    def as_plain(self, now: datetime) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        probe, until = self.probe, self.probe.certificate_until
        return {
            "target": self.name,
            "required": self.required,
            "reachable": probe.reachable,
            "tls": probe.tls,
            "certificate_days": None if until is None else (until - now).days,
            "association": probe.association,
            "contexts": None if probe.contexts is None else list(probe.contexts),
            "echo": probe.echo,
            "commitment": probe.commitment,
            "stow": probe.stow,
            "failure": probe.failure or None,
        }

    def error(self) -> OutOfReach | None:
        """Return the error for a target that structure sets cannot be sent to; None if well."""
        if not self.probe.failure:
            return None
        hint = self.probe.hint or "The page 'Send structure sets by DICOM' explains each message."
        return OutOfReach(f"{self.name} {self.probe.failure}", hint=hint)


def check_nodes(settings: "Settings", name: str = "") -> "list[NodeCheck | SourceCheck]":
    """Ask each target and each archive of `pull`, or those of a name, what they accept.

    Raises
    ------
    UsageError
        If there is none, or none of that name.
    ConfigError
        If one cannot be used on this machine.
    """
    from drawcli.operations.pull.check import check_sources

    every, sources = network_targets(settings), named_sources(settings)
    if not every and not sources:
        raise UsageError(
            "the settings have no DICOM target and no archive",
            hint="Set deliver.node, deliver.targets or pull.sources.",
        )
    chosen = [one for one in every if name in ("", one.name, one.name.partition("@")[0])]
    found: list[NodeCheck | SourceCheck] = [_checked(target, settings) for target in chosen]
    found += check_sources(settings, name)
    if not found:
        names = [*(one.name for one in every), *sources]
        raise UsageError(f"there is no target of that name{suggest(name, names)}")
    return found


def network_targets(settings: "Settings") -> "list[Target]":
    """Return the targets that are no folders; `deliver.node` as one of a list."""
    from drawcli.config.sections_targets import Target

    if settings.deliver.node:
        return [Target(node=settings.deliver.node)]
    found = list[Target]()
    for target in settings.deliver.targets:
        if target.sender:
            nodes = dict.fromkeys(settings.deliver.senders.values())
            found += [target.replace(node=node, sender=False) for node in nodes]
        elif target.folder is None:
            found.append(target)
    return found


def _checked(target: "Target", settings: "Settings") -> NodeCheck:
    from drawcli.adapters.delivery.probe import probe_archive, probe_node

    if target.node:
        from drawcli.adapters.delivery.dicom_node import opened_target

        node = opened_target(target, settings.deliver.ae_title, settings.state_dir)
        probe = probe_node(node)
    else:
        from drawcli.adapters.delivery.stow import opened_stow

        probe = probe_archive(opened_stow(target))
    return NodeCheck(target.name, target.required, target.commitment, probe)
