"""doctor: check what a run needs, and say how to fix what is wrong."""

from collections import Counter
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from drawcli.cli.door import Door, command
from drawcli.cli.render import Result
from drawcli.errors import ConfigError, DrawcliError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from drawcli.operations.doctor.outcome import Check, CheckContext, Outcome
    from drawcli.pipeline.context import Context

_COLOURS: Final = {"PASS": "green", "WARN": "yellow", "FAIL": "bold red", "SKIP": "cyan"}
_IN_WORDS: Final = {"PASS": "passed", "WARN": "warned", "FAIL": "failed", "SKIP": "not checked"}


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "doctor")(doctor)


def doctor(
    door: Door,
    offline: Annotated[
        bool, typer.Option("--offline", help="Skip the checks that need the network.")
    ] = False,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            help="Write a zip for support, after a search of it for patient data.",
            metavar="FILE.zip",
        ),
    ] = None,
) -> Result:
    """Check what a run needs; say how to fix what is wrong."""
    errors: list[DrawcliError] = []
    written = None
    with ExitStack() as opened:
        outcomes: list[Outcome] = []
        site = _site(door, opened, outcomes)
        if site is not None:
            outcomes += _run_checks(site, offline=offline)
            _keep(site, outcomes)
        try:
            written = _bundle(bundle, site, outcomes)
        except DrawcliError as err:  # the checks are reported all the same
            errors.append(err)
    return _result(outcomes, written, errors)


def _keep(site: "CheckContext", outcomes: "list[Outcome]") -> None:
    """Store the results for the verdict of `status` and the web page, if that is possible."""
    from drawcli.operations.doctor.kept import keep_outcomes

    with suppress(OSError, DrawcliError):
        keep_outcomes(site.settings.state_dir, outcomes, site.now)


def _result(outcomes: "list[Outcome]", written: Any, errors: list[DrawcliError]) -> Result:
    """Return the checks, their number by grade, and an error if one failed."""
    from drawcli.operations.doctor.outcome import Grade

    counts = Counter(outcome.result.grade for outcome in outcomes)
    if failed := counts[Grade.FAIL]:
        text = f"{failed} of {len(outcomes)} checks failed"
        hint = "The line below each FAIL says how to fix it."
        errors.append(ConfigError(text, code="doctor", hint=hint))
    data = {
        "checks": [outcome.as_plain() for outcome in outcomes],
        "passed": counts[Grade.PASS],
        "warned": counts[Grade.WARN],
        "failed": failed,
        "not_checked": counts[Grade.SKIP],
        "bundle": written,
    }
    code = ConfigError.exit_code if failed else max((err.exit_code for err in errors), default=0)
    return Result(
        data=data, show=lambda out: _tell(out, outcomes, written), errors=errors, exit_code=code
    )


def _site(door: Door, opened: ExitStack, outcomes: "list[Outcome]") -> "CheckContext | None":
    """Open the site; what cannot be opened becomes a failed check."""
    from drawcli.adapters.state import logs
    from drawcli.operations.doctor.local import versions
    from drawcli.operations.doctor.outcome import CheckContext, CheckResult, Outcome
    from drawcli.pipeline.context import open_context
    from drawcli.system.failures import raise_if_short

    logs.keep_off_stderr()
    try:
        config = door.settings_file()
        settings = door.settings(config)
    except (DrawcliError, OSError) as err:
        outcomes += [
            Outcome("settings", CheckResult.of_error(err)),
            Outcome("versions", versions()),
            Outcome("all others", CheckResult.not_checked("no settings", "Fix them first.")),
        ]
        return None
    ctx: Context | None = None
    closed: Exception | None = None
    try:
        ctx = opened.enter_context(open_context(settings))
    except (DrawcliError, OSError) as err:
        raise_if_short(err)
        closed = err
    now = datetime.now(UTC)
    return CheckContext(
        settings=settings, config=config.absolute(), now=now, ctx=ctx, closed=closed
    )


def _run_checks(site: "CheckContext", *, offline: bool) -> "Iterator[Outcome]":
    from drawcli.operations.doctor import contours, delivery, local, outward, receiver, server
    from drawcli.operations.doctor.outcome import of_share, run_checks

    yield from run_checks((*local.LOCAL, *outward.OUTWARD), site)
    databases = [("database", outward.database)] * bool(site.settings.ledger)
    shares = [("shared storage", outward.shared_storage)] * site.settings.cluster.shares_work
    groups = [("group database", outward.group_database)] * bool(site.settings.group.database)
    yield from run_checks((*databases, *shares, *groups), site)
    qa = ["contours"] if site.settings.qa.enabled or site.settings.qa.limits else []
    yield from run_checks([(name, of_share(contours.contours)) for name in qa], site)
    receives = ["receive"] if site.settings.receive.folder else []
    yield from run_checks([(name, of_share(receiver.receiver)) for name in receives], site)
    commits = [one for one in site.settings.deliver.targets if one.commitment]
    yield from run_checks([("commitment", receiver.commitment)] * bool(commits), site)
    node = ["DICOM node"] if site.settings.deliver.node else delivery.unasked_targets(site)
    yield from run_checks(delivery.target_checks(site, offline=offline), site)
    archives = _archives(site)
    if offline:
        names = [name for name, _ in archives]
        yield from server.unasked([*node, *names, "server", "clock", "TLS"])
        yield from server.offline(site)
        return
    yield from run_checks(archives, site)
    single = node if site.settings.deliver.node else []
    yield from run_checks([(name, delivery.dicom_node) for name in single], site)
    yield from server.online(site)


def _archives(site: "CheckContext") -> "list[tuple[str, Check]]":
    """Return the checks of the archives that the site pulls from."""
    if not site.settings.pull.sources:
        return []
    from drawcli.operations.pull.check import source_checks

    return source_checks(site.settings)


def _bundle(target: Path | None, site: "CheckContext | None", outcomes: "list[Outcome]") -> Any:
    if target is None:
        return None
    from drawcli.operations.support_bundle import write_bundle

    if site is None or site.ctx is None:
        raise ConfigError(
            "no zip can be made while the site cannot be opened: it could not be searched",
            code="doctor",
            hint="'drawcli doctor' without --bundle says what to fix first.",
        )
    return {"file": str(target), "members": write_bundle(target, site, outcomes)}


def _tell(out: "Console", outcomes: "list[Outcome]", written: Any) -> None:
    from rich.text import Text

    width = max(len(outcome.check) for outcome in outcomes)
    for outcome in outcomes:
        grade = Text(str(outcome.result.grade), style=_COLOURS[outcome.result.grade])
        out.print(grade, Text(f" {outcome.check:<{width}}  {outcome.result.text}"), soft_wrap=True)
        if outcome.result.remedy:
            out.print(Text(f"      {'':<{width}}  -> {outcome.result.remedy}"), soft_wrap=True)
    counts = Counter(str(outcome.result.grade) for outcome in outcomes)
    words = [f"{counts[grade]} {text}" for grade, text in _IN_WORDS.items() if counts[grade]]
    out.print(f"\n{', '.join(words)}")
    if written is not None:
        out.print(
            f"\nwritten: {written['file']}  ({', '.join(written['members'])})", soft_wrap=True
        )
