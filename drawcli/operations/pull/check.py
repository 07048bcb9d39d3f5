"""Ask an archive what it offers, for `nodes check` and `doctor`; nothing is retrieved."""

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from drawcli.adapters.archive.probe import SourceProbe
from drawcli.errors import OutOfReach
from drawcli.operations.doctor.outcome import Check, CheckContext, CheckResult
from drawcli.operations.doctor.tls_text import tls_text
from drawcli.pipeline.pull.pull import named_sources
from drawcli.pipeline.pull.store import open_node, open_web

if TYPE_CHECKING:
    from drawcli.config.load import Settings
    from drawcli.config.sections_pull import PullSource

_HINT = "The page 'Pull from an archive' says what to enter there."


class SourceCheck(NamedTuple):
    """An archive and what was found."""

    name: str
    probe: SourceProbe
    note: str = " (pull)"

    def facts(self, now: datetime) -> list[tuple[str, str]]:
        """Return what was found as titles and texts."""
        probe = self.probe
        tls = tls_text(probe.tls, probe.certificate_until, now, reachable=probe.reachable)
        facts = [("reachable", "yes" if probe.reachable else "no"), ("TLS", tls)]
        if probe.services is not None:
            facts.append(("offers", ", ".join(probe.services) or "nothing that a pull needs"))
        return [*facts, ("result", probe.failure or "can be pulled from")]

    def as_plain(self, now: datetime) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        until = self.probe.certificate_until
        return {
            "source": self.name,
            "reachable": self.probe.reachable,
            "tls": self.probe.tls,
            "certificate_days": None if until is None else (until - now).days,
            "services": None if self.probe.services is None else list(self.probe.services),
            "failure": self.probe.failure or None,
        }

    def error(self) -> OutOfReach | None:
        """Return the error for an archive that cannot be pulled from; None if well."""
        if not self.probe.failure:
            return None
        return OutOfReach(f"{self.name} {self.probe.failure}", hint=self.probe.hint or _HINT)


def check_sources(settings: "Settings", name: str = "") -> list[SourceCheck]:
    """Ask each archive of `pull`, or the one of a name; raise ConfigError if one is unusable."""
    return [
        SourceCheck(one, _probed(source, settings))
        for one, source in named_sources(settings).items()
        if name in ("", one, one.partition("@")[0])
    ]


def source_checks(settings: "Settings") -> list[tuple[str, Check]]:
    """Return the name and the check of each archive, for `doctor`."""
    sources = enumerate(named_sources(settings).values(), 1)
    return [(f"archive {number}", partial(_listed, source)) for number, source in sources]


def _listed(source: "PullSource", site: CheckContext) -> CheckResult:
    """Return the result of an archive; one that fails does not stop runs."""
    probe = _probed(source, site.settings)
    if probe.failure:
        return CheckResult.warned(f"{source.name} {probe.failure}", probe.hint or _HINT)
    return CheckResult.well(f"{source.name} offers {', '.join(probe.services or ())}")


def _probed(source: "PullSource", settings: "Settings") -> SourceProbe:
    from drawcli.adapters.archive.probe import probe_node, probe_web
    from drawcli.core.pull.retrieval import GET, MOVE

    if source.dicomweb:
        return probe_web(open_web(source, settings, lambda: None))
    node = open_node(source, settings, lambda: None)
    return probe_node(node, MOVE if source.by == "move" else GET)
