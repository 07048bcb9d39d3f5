"""A zip for support: the results of doctor, settings, runs, jobs and the end of the log.

It is made of what names no patient anyway, paths are masked, and then every text of it is searched
for all that the vaults know: names, ids, UIDs, birth days, paths. If anything is found, nothing is
written; but short numbers, which stand in every log by chance, are taken out. Rules and templates
stay at home; they are counted.
"""

import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from drawcli.adapters.state.run_log import FILE_NAME as RUNS
from drawcli.core.gate.identifiers import COMMON
from drawcli.core.jobs.columns import BUNDLE, as_plain
from drawcli.core.jobs.job import Job
from drawcli.errors import ConfigError, JobError, UsageError
from drawcli.operations.doctor.outcome import CheckContext, Outcome
from drawcli.operations.support_bundle_search import Haystack, PatientTerms, own_words, without
from drawcli.pipeline.context import Context
from drawcli.system.files import fresh_file
from drawcli.system.records import Record

_LINES: Final = 500  # of the log
_RUNS: Final = 300
_SOURCES: Final = {
    "doctor.json": "at what 'drawcli doctor' says",
    "settings.json": "into drawcli.yaml",
    "jobs.json": "at what 'drawcli status --json' says",
    RUNS: "into state_dir/runs.jsonl",
    "log.txt": "into the end of state_dir/logs/drawcli.log",
}
_SAYS: Final = """What doctor saw, the settings (paths and secrets masked), the last runs, the jobs
and the end of the log of one drawcli site. Every text in it was searched for what identifies the
patients whose vaults are there: names, ids, UIDs, birth days, paths. Nothing was found.
Jobs searched for: {searched}. Jobs of which nothing is known any more: {unknown}.
Where a text held a number of three to five digits that is also one of a patient, "<number>" stands.
"""
_NUMBER: Final = "<number>"


def write_bundle(target: Path, site: CheckContext, outcomes: Iterable[Outcome]) -> list[str]:
    """Write the zip; return the names of its members.

    Raises
    ------
    ConfigError
        Where something in it identifies a patient; nothing is written.
    UsageError
        Where the file is there already.
    """
    if target.exists():
        raise UsageError(f"{target} is there already", hint="Name another file.")
    if site.ctx is None:
        raise ConfigError("the site cannot be opened, so that nothing can be searched")
    masks = _masks(site)
    members = {name: masks.put(text) for name, text in _members(site, site.ctx, outcomes)}
    searched, numbers = _search(members, site.ctx)
    members = {name: _without(name, text, numbers) for name, text in members.items()}
    unknown = len(site.ctx.ledger.jobs()) + len(site.ctx.ledger.archive) - searched
    members = {"README.txt": _SAYS.format(searched=searched, unknown=max(unknown, 0))} | members
    with fresh_file(target) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as whole:
        for name, text in members.items():
            whole.writestr(name, text)
    return list(members)


def _members(
    site: CheckContext, ctx: Context, outcomes: Iterable[Outcome]
) -> Iterator[tuple[str, str]]:
    yield "doctor.json", _json([one.as_plain() for one in outcomes])
    yield "settings.json", _json(masked(site.settings))
    yield "jobs.json", _json([_facts(job, ctx.now()) for job in ctx.ledger.jobs()])
    yield RUNS, "\n".join(_tail(ctx.settings.state_dir / RUNS, _RUNS))
    yield "log.txt", "\n".join(_log(ctx.settings.state_dir / "logs" / "drawcli.log"))


def masked(section: Record) -> dict[str, Any]:
    """Return settings without free text.

    Numbers, switches and known words stay; of paths, patterns and reasons it is reported
    only that they are set.
    """
    shown: dict[str, Any] = {}
    for name in section.fields:
        value = getattr(section, name)
        if isinstance(value, Record):
            shown[name] = masked(value)
        elif isinstance(value, bool | int | float) or value is None or name in _KNOWN_WORDS:
            shown[name] = value
        else:
            shown[name] = f"({len(value)} set)" if isinstance(value, list | dict) else "(set)"
    return shown


_KNOWN_WORDS: Final = frozenset(
    """
    url client_id modalities sop_classes late on_many dates patient_characteristics remove
    keep_descriptors character_set uid_root checks endpoints
    """.split()
)


def _facts(job: Job, now: datetime) -> dict[str, Any]:
    events = [[event.at, event.what, event.why] for event in job.events]
    return as_plain(job, now, BUNDLE) | {"events": events}


def _json(plain: Any) -> str:
    return json.dumps(plain, indent=1, ensure_ascii=False, default=str)


def _tail(path: Path, lines: int) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []


def _log(path: Path) -> list[str]:
    """Return the end of the log; tracebacks keep their frames without the lines of code."""
    return [line for line in _tail(path, _LINES) if not line.startswith("    ")]


@dataclass(frozen=True, slots=True)
class Masks:
    """Paths of this machine and their replacements."""

    names: Mapping[str, str]

    def put(self, text: str) -> str:
        """Replace the paths in a text, the longest first, as one may contain another."""
        for path in sorted(self.names, key=len, reverse=True):
            text = text.replace(path, self.names[path])
        return text


def _masks(site: CheckContext) -> Masks:
    settings = site.settings
    names = {
        str(Path.home()): "<home>",
        str(site.config.parent): "<site>",
        str(settings.state_dir): "<state_dir>",
        str(settings.server.token_file): "<token_file>",
        str(settings.rules): "<rules>",
        str(settings.templates): "<templates>",
        str(Path(__file__).parents[1]): "<drawcli>",
    }
    names |= {str(store): f"<datastore {n}>" for n, store in enumerate(settings.datastore, 1)}
    for folder in settings.deliver.folders:
        if isinstance(folder, Path):
            names[str(folder)] = "<deliver.folder>"
    names |= {os.path.realpath(path): name for path, name in names.items()}
    names |= {json.dumps(path, ensure_ascii=False)[1:-1]: name for path, name in names.items()}
    return Masks({path: name for path, name in names.items() if len(path) > 1})


def _search(members: Mapping[str, str], ctx: Context) -> tuple[int, set[str]]:
    """Return for how many jobs was searched, and the short numbers of patients that were found.

    Such a number, 200 or 1024, is found in every log by chance: it is taken out of the texts. What
    else is found of a patient should not be there at all: ConfigError is raised.
    """
    own, stores, searched = own_words() | COMMON, ctx.settings.datastore, 0
    numbers: set[str] = set()
    ready = {name: Haystack.of(_texts(name, text)) for name, text in members.items()}
    for job_id in ctx.work.job_ids():
        try:
            wanted = PatientTerms.of(
                job_id, ctx.vault.open(ctx.work.folder(job_id), job_id), stores
            )
        except JobError:
            continue  # unknown without its vault; the zip states how many these are
        searched += 1
        numbers |= wanted.numbers
        for name, member in ready.items():
            if what := wanted.found_in(member, own | wanted.numbers):
                raise _refused(name, what, job_id)
    return searched, numbers


def _without(name: str, text: str, numbers: set[str]) -> str:
    """Remove the short numbers of patients from a member."""
    if not numbers:
        return text
    if name == RUNS:
        return "\n".join(_json_line(entry, numbers) for entry in _each_json(text.splitlines()))
    if name.endswith(".json"):
        return _json(_without_in(json.loads(text), numbers))
    return without(text, numbers, _NUMBER)


def _json_line(plain: Any, numbers: set[str]) -> str:
    made = _without_in(plain, numbers)
    return made if isinstance(made, str) else json.dumps(made, ensure_ascii=False)


def _without_in(plain: Any, numbers: set[str]) -> Any:
    """Return JSON data with every text in it filtered; numbers are our own counts."""
    if isinstance(plain, dict):
        return {
            _without_in(key, numbers): _without_in(value, numbers) for key, value in plain.items()
        }
    if isinstance(plain, list):
        return [_without_in(item, numbers) for item in plain]
    return without(plain, numbers, _NUMBER) if isinstance(plain, str) else plain


def _refused(name: str, what: str, job_id: str) -> ConfigError:
    return ConfigError(
        f"{name} would hold {what} of the patient of job {job_id}; nothing was written",
        code="bundle-refused",
        hint=f"Look {_SOURCES.get(name, 'there')} for it, and tell the developers where it stood: "
        "nothing of a patient should.",
    )


def _texts(name: str, text: str) -> Iterator[str]:
    """Yield the texts to search: lines, or the strings in JSON without its numbers."""
    if name == RUNS:
        waiting = [*_each_json(text.splitlines())]
    elif name.endswith(".json"):
        waiting = [json.loads(text)]
    else:
        yield from text.splitlines()
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            yield value


def _each_json(lines: Iterable[str]) -> Iterator[Any]:
    """Yield each line parsed as JSON; a torn line as text."""
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            yield line
