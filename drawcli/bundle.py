"""An archive for whoever helps: what doctor saw, settings, runs, jobs, the end of the log.

It is made of what names no patient anyway, paths are masked, and then every text of it is searched
for all that the vaults know: names, ids, UIDs, birth days, paths. If anything is found, nothing is
written. Rules and templates stay at home; they are counted.
"""

import ast
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from drawcli.checkup.outcome import Outcome, Site
from drawcli.config import Settings
from drawcli.context import Context
from drawcli.core.crosswalk import Crosswalk
from drawcli.core.job import Job
from drawcli.core.known import COMMON
from drawcli.core.traces import Traces, days, folded
from drawcli.core.traces import words as words_of
from drawcli.errors import ConfigError, JobError, UsageError
from drawcli.files import fresh_file
from drawcli.runs import FILE_NAME as RUNS
from drawcli.sections import Section

_LINES: Final = 500  # of the log
_RUNS: Final = 300
_LONG_UID: Final = 12  # characters
_LONG_NAME: Final = 6  # characters of a file's name that says something
_FACTS: Final = (
    *"id state since modality slices template rule posts attempts due_at held".split(),
    *"reason_code reason hint uploaded_at follows zip_bytes revision".split(),
)
# What we write ourselves in every line, of digits that anybody's number may hold by chance.
_OURS: Final = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?)?([+-]\d\d:\d\d|z)?"
    r"|\b[0-9a-f]{12}-\d+\b|\b[0-9a-f]{16,64}\b|\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
    re.IGNORECASE,
)
_PERSONAL: Final = "PatientName PatientID AccessionNumber ReferringPhysicianName StudyID".split()
_SAYS: Final = """What doctor saw, the settings (paths and secrets masked), the last runs, the jobs
and the end of the log of one drawcli site. Every text in it was searched for what identifies the
patients whose vaults are there: names, ids, UIDs, birth days, paths. Nothing was found.
"""


def write_bundle(target: Path, site: Site, outcomes: Iterable[Outcome]) -> list[str]:
    """Write the archive; return the names of its members.

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
    _search(members, site.ctx)
    with fresh_file(target) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as whole:
        for name, text in members.items():
            whole.writestr(name, text)
    return list(members)


def _members(site: Site, ctx: Context, outcomes: Iterable[Outcome]) -> Iterator[tuple[str, str]]:
    yield "README.txt", _SAYS
    yield "doctor.json", _json([one.as_plain() for one in outcomes])
    yield "settings.json", _json(masked(site.settings))
    yield "jobs.json", _json([_facts(job) for job in ctx.ledger.jobs()])
    yield RUNS, "\n".join(_tail(ctx.settings.state_dir / RUNS, _RUNS))
    yield "log.txt", "\n".join(_log(ctx.settings.state_dir / "logs" / "drawcli.log"))


def masked(section: Settings | Section) -> dict[str, Any]:
    """Return settings without what a person may have written into them.

    Numbers, switches and words that drawcli knows stay; of paths, patterns and reasons it is told
    only that they are set.
    """
    shown: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
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


def _facts(job: Job) -> dict[str, Any]:
    plain = {name: getattr(job, name) for name in _FACTS}
    events = [[event.at, event.what, event.why] for event in job.events]
    return plain | {"events": events}


def _json(plain: Any) -> str:
    return json.dumps(plain, indent=1, ensure_ascii=False, default=str)


def _tail(path: Path, lines: int) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []


def _log(path: Path) -> list[str]:
    """Return the end of the log; of tracebacks the frames, without the lines of code in them."""
    return [line for line in _tail(path, _LINES) if not line.startswith("    ")]


@dataclass(frozen=True, slots=True)
class Masks:
    """Paths of this machine, and what stands for each."""

    names: Mapping[str, str]

    def put(self, text: str) -> str:
        """Return a text without the paths; the longest first, as one may lie in another."""
        for path in sorted(self.names, key=len, reverse=True):
            text = text.replace(path, self.names[path])
        return text


def _masks(site: Site) -> Masks:
    settings = site.settings
    names = {
        str(Path.home()): "<home>",
        str(site.config.parent): "<site>",
        str(settings.state_dir): "<state_dir>",
        str(settings.server.token_file): "<token_file>",
        str(settings.rules): "<rules>",
        str(settings.templates): "<templates>",
        str(Path(__file__).parent): "<drawcli>",
    }
    names |= {str(store): f"<datastore {n}>" for n, store in enumerate(settings.datastore, 1)}
    if isinstance(settings.deliver.folder, Path):
        names[str(settings.deliver.folder)] = "<deliver.folder>"
    return Masks({path: name for path, name in names.items() if len(path) > 1})


@dataclass(slots=True)
class Wanted:
    """What identifies the patient of one job, to be looked for."""

    job_id: str
    personal: Traces = field(default_factory=Traces)
    uids: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)
    born: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, job_id: str, crosswalk: Crosswalk, stores: Sequence[Path]) -> "Wanted":
        """Return what the vault of a job knows; its paths also as they are below a datastore."""
        wanted, told = cls(job_id), crosswalk.readable()
        for text in (crosswalk.patient_name, crosswalk.patient_id):
            wanted.personal.learn(
                text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            )
        for keyword in _PERSONAL:
            wanted.personal.learn(told.get(keyword, ""))
        wanted.born.update(days(told.get("PatientBirthDate", "")))
        known = {crosswalk.series_uid, crosswalk.study_uid, crosswalk.frame_uid}
        known |= {*crosswalk.uids.values(), *(file.sop_uid for file in crosswalk.files)}
        wanted.uids = {uid for uid in known if len(uid) >= _LONG_UID}
        for path in (Path(file.path) for file in crosswalk.files):
            wanted.paths |= {path.parent.as_posix()} - {one.as_posix() for one in stores}
            below = (path.parent.relative_to(one) for one in stores if one in path.parent.parents)
            wanted.paths |= {f"/{folder.as_posix()}" for folder in below}
            wanted.paths |= {path.name} if len(path.name) >= _LONG_NAME else set()
        return wanted

    def found_in(self, text: str, own: frozenset[str]) -> str:
        """Return what of the patient a text says; "" where it says nothing."""
        if any(path in text.replace("\\", "/") for path in self.paths):
            return "a path or file name"
        if any(uid in text for uid in self.uids):
            return "a UID"
        plain = folded(_OURS.sub(" ", text))
        if (words_of(plain, 1) & (self.personal.names | self.personal.short)) - own:
            return "a name or number"
        if any(map(self.personal.in_ids, _candidates(plain))):
            return "an id"
        return "a birth day" if self.born.intersection(days(plain)) else ""


def _candidates(plain: str) -> Iterator[str]:
    """Yield the words of a text, and those with digits that follow each other, as one."""
    for numbered, group in groupby(plain.split(), lambda word: any(map(str.isdigit, word))):
        found = list(group)
        yield from found
        if numbered and len(found) > 1:
            yield "".join(found)


def _search(members: Mapping[str, str], ctx: Context) -> None:
    """Raise ConfigError where a member says something of a patient."""
    own, stores = own_words() | COMMON, ctx.settings.datastore
    texts = {name: list(dict.fromkeys(_texts(name, text))) for name, text in members.items()}
    for job_id in ctx.work.job_ids():
        try:
            wanted = Wanted.of(job_id, ctx.vault.open(ctx.work.folder(job_id), job_id), stores)
        except JobError:
            continue  # without its vault nobody knows, and the ledger's check tells of it
        for name, lines in texts.items():
            for line in lines:
                if what := wanted.found_in(line, own):
                    raise ConfigError(
                        f"{name} would hold {what} of the patient of job {job_id}; nothing was "
                        "written",
                        code="bundle-refused",
                        hint="Look at that file here, and tell the developers: it should not.",
                    )


def _texts(name: str, text: str) -> Iterator[str]:
    """Yield the texts to be searched: lines, or the words that JSON holds; no number of it."""
    if not name.endswith(".json"):
        yield from text.splitlines()
        return
    waiting = [json.loads(text)]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str):
            yield one


def own_words() -> frozenset[str]:
    """Return the words that drawcli's own code speaks, folded: they say nothing of a patient.

    Names of modules, functions and messages stand in every log. Docstrings and comments do not
    count, nor the sandbox with its invented patients.
    """
    found: set[str] = set()
    package = Path(__file__).parent
    for path in package.rglob("*.py"):
        if "sandbox" in path.parts:
            continue
        found |= words_of(path.stem, 1)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        told = {id(node.body[0].value) for node in ast.walk(tree) if _has_docstring(node)}  # type: ignore[attr-defined] # of these nodes
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in told
            ):
                found |= words_of(folded(node.value), 1)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                found |= words_of(folded(node.name), 1) | {folded(node.name)}
    return frozenset(found)


def _has_docstring(node: ast.AST) -> bool:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None
