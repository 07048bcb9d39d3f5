"""What a pull has done, for people and for programs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from drawcli.errors import DrawcliError, JobError, NeedsPerson, OutOfReach, TryLater
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from drawcli.pipeline.pull.outcome import PulledSource, PullReport
    from drawcli.pipeline.step_report import StepReport

OUT_OF_TIME: Final = "pull-time"
_IN_WORDS: Final = {
    "pulled": "pulled",
    "would-pull": "would be pulled",
    "complete": "complete before",
    "known": "known already, not pulled",
    "waiting": "not complete yet",
    "refused": "refused",
    "nothing": "without an image of a class that is received",
    "left": "left for the next pull",
}
_OF_SOURCES: Final = {
    "outside-window": "skipped: outside its hours ('between')",
    "waits": "skipped: it failed, and is tried again later",
    "no-time": "skipped: no time was left",
}


def lines_of(report: "PullReport") -> Iterator[str]:
    """Yield what was done, one line for an archive, and one for each key that it ignores."""
    for source in report.sources:
        counts = ", ".join(
            f"{counted(source.counts[what], 'series', 'series')} {words}"
            for what, words in _IN_WORDS.items()
            if source.counts[what]
        )
        if source.outcome in _OF_SOURCES:
            counts = _OF_SOURCES[source.outcome]
        elif source.error is not None:
            counts = f"failed{f'; {counts}' if counts else ''}"
        images = f" ({_images(source)})" if _images(source) else ""
        yield f"{source.name}: {counts or 'no series matches'}{images}"
        for keyword, number in source.without.items():
            answers = counted(number, "answer")
            yield f"  {answers} without {keyword} left out: does the archive support this key?"


def _images(source: "PulledSource") -> str:
    would = sum(one.missing for one in source.series if one.outcome == "would-pull")
    if would:
        return counted(would, "image")
    if not source.stored:
        return ""
    return f"{counted(source.stored, 'image')}, {source.bytes / 1e6:,.1f} MB"


def errors_of(report: "PullReport", *, only_new: bool = False) -> list[DrawcliError]:
    """Return what went wrong; with `only_new` what needs a person is reported once.

    An archive that cannot be reached is reported at each try.
    """
    errors = list[DrawcliError]()
    for source in report.sources:
        err = source.error
        if isinstance(err, TryLater):
            err = OutOfReach(str(err), code=err.code, hint=err.hint)
        if err is not None and not (
            only_new and isinstance(err, NeedsPerson) and not source.is_new
        ):
            errors.append(err)
        refused = [one for one in source.series if isinstance(one.error, NeedsPerson)]
        errors += _together([one.error for one in refused if one.is_new or not only_new])
        if not only_new:
            errors += _together(source.problems)
            errors += _together(
                [one.error for one in source.series if _is_reported(one.error, err)]
            )
    return errors


def _is_reported(err: DrawcliError | None, of_source: DrawcliError | None) -> bool:
    """Return whether a waiting series is reported: not if its archive failed or time is up."""
    return isinstance(err, TryLater) and of_source is None and err.code != OUT_OF_TIME


def _together(errors: "list[Any]") -> Iterator[DrawcliError]:
    """Yield each error once, with the number of series that have it."""
    by_text = dict[str, list[DrawcliError]]()
    for err in errors:
        by_text.setdefault(str(err), []).append(err)
    for text, same in by_text.items():
        more = f" ({counted(len(same), 'series', 'series')})" if len(same) > 1 else ""
        kind = NeedsPerson if isinstance(same[0], NeedsPerson) else OutOfReach
        yield kind(f"{text}{more}", code=same[0].code, hint=same[0].hint)


def exit_code_of(errors: "list[DrawcliError]") -> int:
    """Return the exit code: what needs a person counts more than what is out of reach."""
    codes = {err.exit_code for err in errors}
    others = sorted(codes - {0, JobError.exit_code, OutOfReach.exit_code})
    if JobError.exit_code in codes:
        return JobError.exit_code
    return others[0] if others else max(codes, default=0)


def errors_of_step(report: "StepReport") -> list[DrawcliError]:
    """Return what went wrong in the step of a run."""
    if report.pull_error is not None:
        return [report.pull_error]
    return [] if report.pulled is None else errors_of(report.pulled, only_new=True)
