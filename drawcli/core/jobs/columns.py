"""Columns of a job for tables, CSV, JSON, the dashboard and the support bundle.

None contains patient data.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from drawcli.core.jobs.job import FINISHED, PET_COUNTS, Job, State
from drawcli.core.jobs.waiting import delivered_at, waits_for, way_out
from drawcli.core.jobs.warned import unseen_warnings
from drawcli.core.series.overrides import released_codes
from drawcli.system.durations import duration
from drawcli.system.printable import counted, size


class Column(NamedTuple):
    """One fact of a job: its key in JSON and CSV, its title and display text.

    `table`: a column of `status` and of the page "Jobs". `fact`: a line of `show` and of a job's
    page. `bundle`: part of the support bundle, which has no digests: by chance they may contain the
    digits of a patient ID.
    """

    name: str
    title: str = ""
    value: Callable[[Job, datetime], Any] | None = None  # None: the job's field of that name
    text: Callable[[Job, datetime], str] | None = None  # None: the value as text
    table: bool = False
    fact: bool = False
    bundle: bool = False
    is_number: bool = False
    always: bool = True  # also in a table where every job has "" in it

    def plain(self, job: Job, now: datetime) -> Any:
        """Return the value as a JSON or CSV type."""
        value = self._value(job, now)
        return value.isoformat() if isinstance(value, datetime) else value

    def shown(self, job: Job, now: datetime) -> str:
        """Return the display text."""
        return self.text(job, now) if self.text else str(self._value(job, now) or "")

    def _value(self, job: Job, now: datetime) -> Any:
        return self.value(job, now) if self.value else getattr(job, self.name)


def as_plain(job: Job, now: datetime, columns: Iterable[Column]) -> dict[str, Any]:
    """Return columns of a job by name, as JSON or CSV types."""
    return {column.name: column.plain(job, now) for column in columns}


def facts(job: Job, now: datetime, source_bytes: int | None = None) -> list[tuple[str, str]]:
    """Return the titles and texts of the known facts of a job, with the image size if given."""
    shown = [(column.title, column.shown(job, now)) for column in FACTS]
    return [_source(job, source_bytes), *((title, text) for title, text in shown if text)]


def _source(job: Job, source_bytes: int | None) -> tuple[str, str]:
    if job.of_folder:
        return "folder", f"{job.slices} files that cannot be read"
    of_size = f", {size(source_bytes)}" if source_bytes else ""
    one_off = ", one-off" if job.one_off else ""
    return "series", f"{job.modality or '?'}, {files_text(job)}{of_size}{one_off}"


def files_text(job: Job) -> str:
    """Return the number of files of a series."""
    return "? files" if job.slices is None else counted(job.slices, "file")


def waits_text(job: Job, now: datetime) -> str:
    """Return what a job waits for, its unseen warnings, or how long ago it was delivered."""
    if warnings := unseen_warnings(job):
        return f"a look at its warnings: {'; '.join(warnings)}"
    came = delivered_at(job) if job.state is State.DONE else None
    return waits_for(job, now) if came is None else f"nothing: delivered {duration(now - came)} ago"


def _let_pass(job: Job, _now: datetime) -> str | None:
    """Return the reason codes that a user released for the current files of the series."""
    codes = released_codes(job, job.source_digest or "", job.source_stamp or "")
    return ", ".join(sorted(codes)) or None


def _package(job: Job, _now: datetime) -> str:
    return f"{size(job.zip_bytes)}, sha256 {job.zip_sha256}" if job.zip_sha256 else ""


def _orphans(job: Job, _now: datetime) -> str:
    """Return the number of uploads without an answer, which the server may have kept."""
    if not job.unanswered:
        return ""
    uploads = "upload was" if job.unanswered == 1 else "uploads were"
    return f"{job.unanswered} {uploads} started without an answer; the server may have copies"


def _replaced(job: Job, _now: datetime) -> str:
    """Return the number of replaced tasks that the server has not deleted yet."""
    if not job.replaced:
        return ""
    copies = counted(len(job.replaced), "copy", "copies")
    when = "the server is asked to delete them" if job.state in FINISHED else "until this is done"
    return f"{copies} of earlier uploads at the server, {when}"


def _aside(job: Job, _now: datetime) -> str:
    return f"{job.aside}: not slices, never sent" if job.aside else ""


def _note(job: Job, _now: datetime) -> str:
    return PET_COUNTS if job.pet_counts else ""


def _age(job: Job, now: datetime) -> str:
    return duration(now - job.since)


def _rule(job: Job, _now: datetime) -> str:
    return job.rule or ("assigned by a user" if job.template else "")


# `status` as JSON and CSV; `show` as JSON.
STATUS: Final = (
    Column("id", "job", table=True, bundle=True),
    Column("state", "state", table=True, bundle=True),
    Column("since", "for", text=_age, table=True, bundle=True),
    Column("seconds_in_state", value=lambda job, now: int((now - job.since).total_seconds())),
    Column("template", "template", table=True, fact=True, bundle=True),
    Column("rule", "rule", text=_rule, fact=True, bundle=True),
    Column("modality", "modality", table=True, bundle=True),
    Column("slices", "slices", table=True, bundle=True, is_number=True),
    Column("attempts", "tries", table=True, bundle=True, is_number=True, always=False),
    Column("due_at", bundle=True),
    Column("held", bundle=True),
    Column("reason_code", bundle=True),
    Column("reason", bundle=True),
    Column("hint", bundle=True),
    Column("waits_for", "waits for", value=waits_for, text=waits_text, table=True),
    Column("way_out", value=lambda job, _now: way_out(job) or None),
    Column("warnings", value=lambda job, _now: len(unseen_warnings(job))),  # nobody has seen them
)
# Further columns of `show` as JSON.
DETAILS: Final = (
    Column("one_off"),
    Column("set_aside", "set aside", value=lambda job, _now: job.aside, text=_aside, fact=True),
    Column("pet_counts", "note", text=_note, fact=True),
    Column("let_pass", "let pass", value=_let_pass, fact=True),
    Column("of_folder"),
    Column("follows", bundle=True),
    Column("rules_commit", "rules commit", fact=True),
    Column("rules_digest"),
    Column("key_id"),
    Column("zip_sha256", "package", text=_package, fact=True),
    Column("zip_bytes", bundle=True),
    Column(
        "uploads_begun", "uploads begun", value=lambda job, _now: job.posts, fact=True, bundle=True
    ),
    Column(
        "uploads_unanswered",
        "unanswered",
        value=lambda job, _now: job.unanswered,
        text=_orphans,
        fact=True,
    ),
    Column("task_id", "task", fact=True),
    Column(
        "tasks_replaced",
        "replaced",
        value=lambda job, _now: len(job.replaced),
        text=_replaced,
        fact=True,
        bundle=True,
    ),
    Column("uploaded_at", bundle=True),
    Column("received_sha256", "received SHA-256", fact=True),
    Column("delivered_sha256", "delivered SHA-256", fact=True),
    Column("revision", bundle=True),
)
TABLE: Final = tuple(column for column in STATUS if column.table)
FACTS: Final = tuple(column for column in (*STATUS, *DETAILS) if column.fact)
BUNDLE: Final = tuple(column for column in (*STATUS, *DETAILS) if column.bundle)
