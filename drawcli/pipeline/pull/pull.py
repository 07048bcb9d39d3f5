"""Ask every archive of the settings for its series, and pull what is missing."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from drawcli.adapters.state.pull_records import open_records
from drawcli.adapters.state.pull_state import SourceState, pulling, read_sources, write_sources
from drawcli.errors import ConfigError
from drawcli.pipeline.context import Context
from drawcli.pipeline.pull.outcome import PulledSource, PullReport
from drawcli.pipeline.pull.source import PullOptions, SourcePull

if TYPE_CHECKING:
    from drawcli.config.load import Settings
    from drawcli.config.sections_pull import PullSource


def pull(ctx: Context, options: PullOptions) -> PullReport:
    """Pull what the archives have and the site has not.

    Raises
    ------
    ConfigError
        If no archive is configured, or the records of earlier pulls cannot be used.
    AnotherRun
        If another process is pulling for the site.
    """
    state_dir, report = ctx.settings.state_dir, PullReport()
    sources = named_sources(ctx.settings)
    if not sources:
        raise ConfigError(
            "'pull.sources' is empty: there is no archive to ask",
            code="pull",
            hint="Add an archive to the settings; docs/how-to/pull.md has an example.",
        )
    with ExitStack() as open_:
        if not options.dry_run:
            open_.enter_context(pulling(state_dir))
        open_.enter_context(ctx.progress.step("pull"))
        records = open_.enter_context(open_records(state_dir, throwaway=options.dry_run))
        records.remove_old(ctx.now().timestamp())
        states = read_sources(state_dir)
        for name in sorted(sources, key=lambda name: _of(name, states).asked):
            one = SourcePull(ctx, sources[name], options, PulledSource(name))
            report.sources.append(one.done)
            one.pull(records, _of(name, states))
            if one.was_asked and not options.dry_run:
                states[name] = one.state_after(_of(name, states))
                write_sources(state_dir, {key: states[key] for key in sources if key in states})
    return report


def named_sources(settings: "Settings") -> "dict[str, PullSource]":
    """Return the sources of a site by their names: the address, with a number from the second."""
    counts, named = Counter[str](), dict[str, "PullSource"]()
    for source in settings.pull.sources:
        counts[source.name] += 1
        number = counts[source.name]
        named[source.name if number == 1 else f"{source.name} ({number})"] = source
    return named


def _of(name: str, states: Mapping[str, SourceState]) -> SourceState:
    """Return what is known of an archive; one that was never asked comes first."""
    return states.get(name, SourceState(name))
