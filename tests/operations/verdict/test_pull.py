"""A failing pull wants attention."""

from drawcli.adapters.state.pull_state import SourceState
from drawcli.operations.overview import RunHealth
from drawcli.operations.pull.health import PullHealth
from drawcli.operations.verdict.site import SiteView, verdict_of
from drawcli.pipeline.context import Context


def test_an_archive_that_cannot_be_pulled_from_is_a_finding(ctx: Context) -> None:
    def codes(source: SourceState) -> set[str]:
        pulls = PullHealth((source,))
        health = RunHealth.of_site(ctx.settings)._replace(pulls=pulls)
        return {one.code for one in verdict_of(SiteView(ctx, health, [], ctx.now())).findings}

    assert "pull" not in codes(SourceState("pacs"))
    assert "pull" in codes(SourceState("pacs", failed_since=1.0))
