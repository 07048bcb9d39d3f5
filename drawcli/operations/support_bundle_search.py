"""Search texts for the patients of this site, by the identifiers in each job's vault."""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Final

from drawcli.core.gate.text_traces import Traces, days, fold, join_alnum
from drawcli.core.gate.text_traces import words as words_of
from drawcli.core.series.crosswalk import Crosswalk

_LONG_UID: Final = 12  # characters
_LONG_NAME: Final = 6  # characters of a file's name that says something
# Digits that drawcli writes in every line, and that a patient's number may contain by chance.
_OURS: Final = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?)?([+-]\d\d:\d\d|z)?"
    r"|, line \d+, in |\b[0-9a-f]{12}-\d+\b|\b[0-9a-f]{16,64}\b"
    r"|\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
    re.IGNORECASE,
)
_A_WORD: Final = re.compile(r"[^\W_]+")
_DOTTED: Final = re.compile(r"[0-9.]{12,}")
_PERSONAL: Final = "PatientName PatientID AccessionNumber ReferringPhysicianName StudyID".split()


@dataclass(slots=True)
class PatientTerms:
    """The identifiers of the patient of one job."""

    job_id: str
    personal: Traces = field(default_factory=Traces)
    uids: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)
    born: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, job_id: str, crosswalk: Crosswalk, stores: Sequence[Path]) -> "PatientTerms":
        """Return the identifiers in a job's vault; paths also relative to the datastore."""
        wanted, told = cls(job_id), crosswalk.readable()
        for text in crosswalk.patient:
            wanted.personal.learn(text)
        for keyword in _PERSONAL:
            wanted.personal.learn(told.get(keyword, ""))
        wanted.born.update(days(told.get("PatientBirthDate", "")))
        known = {crosswalk.series_uid, crosswalk.study_uid, crosswalk.frame_uid}
        known |= {*crosswalk.uids.values(), *(file.sop_uid for file in crosswalk.files)}
        wanted.uids = {uid for uid in known if len(uid) >= _LONG_UID}
        for path in (Path(file.path) for file in crosswalk.files):
            wanted.paths |= {path.parent.as_posix()} - {store.as_posix() for store in stores}
            below = (
                path.parent.relative_to(store) for store in stores if store in path.parent.parents
            )
            wanted.paths |= {f"/{folder.as_posix()}" for folder in below}
            wanted.paths |= {path.name} if len(path.name) >= _LONG_NAME else set()
        wanted.paths |= {Path(crosswalk.deliver_to).as_posix()} if crosswalk.deliver_to else set()
        return wanted

    @property
    def numbers(self) -> set[str]:
        """The patient's numbers that are so short that counts and codes match them."""
        return {word for word in self.personal.short if word.isdigit()}

    def found_in(self, member: "Haystack", own: frozenset[str]) -> str:
        """Return which identifier a member contains; "" if none."""
        if any(path in member.text for path in self.paths):
            return "a path or file name"
        if any(uid in member.dotted for uid in self.uids):
            return "a UID"
        if (member.words & (self.personal.names | self.personal.short)) - own:
            return "a name or number"
        if any(_is_id_in(id_, member.joined) for id_ in self.personal.ids):
            return "an id"
        return "a birth day" if self.born & member.days else ""


@dataclass(frozen=True, slots=True)
class Haystack:
    """A member prepared for the search for thousands of patients."""

    text: str  # with "/" in paths
    dotted: str  # all that may be a UID
    words: frozenset[str]
    joined: str  # words, and those with digits that follow each other as one
    days: frozenset[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Haystack":
        """Prepare texts in the forms in which identifiers may appear."""
        known = list(dict.fromkeys(texts))
        plain = [fold(_OURS.sub(" ", text)) for text in known]
        whole = "\n".join(known)
        return cls(
            text=whole.replace("\\", "/"),
            dotted="\n".join(_DOTTED.findall(whole)),
            words=frozenset(word for text in plain for word in words_of(text, 1)),
            joined="\n".join(
                join_alnum(candidate) for text in plain for candidate in _candidates(text)
            ),
            days=frozenset(days(fold(whole))),  # of our own moments, too: few are birth days
        )


def _is_id_in(id_: str, text: str) -> bool:
    """Return whether a text contains an ID; a number inside a longer number does not count."""
    if id_ not in text:
        return False
    return not id_.isdigit() or re.search(rf"(?<!\d){id_}(?!\d)", text) is not None


def without(text: str, words: AbstractSet[str], instead: str) -> str:
    """Replace some folded words in a text.

    >>> without("2026-11-14 12:00:00,200 slices=200, HTTP 200", {"200"}, "<number>")
    '2026-11-14 12:00:00,200 slices=<number>, HTTP <number>'
    """

    def put(found: re.Match[str]) -> str:
        return instead if fold(found[0]) in words else found[0]

    made, at = [], 0
    for ours in _OURS.finditer(text):
        made += [_A_WORD.sub(put, text[at : ours.start()]), ours[0]]
        at = ours.end()
    return "".join([*made, _A_WORD.sub(put, text[at:])])


def _candidates(plain: str) -> Iterator[str]:
    """Yield the words of a text, and consecutive words with digits joined."""
    for numbered, group in groupby(plain.split(), lambda word: any(map(str.isdigit, word))):
        found = list(group)
        yield from found
        if numbered and len(found) > 1:
            yield "".join(found)


@cache
def own_words() -> frozenset[str]:
    """Return the words of drawcli's own code, folded: they do not identify a patient.

    Names of modules, functions and messages stand in every log. Docstrings and comments do not
    count, nor the sandbox with its invented patients.
    """
    found: set[str] = set()
    package = Path(__file__).parents[1]
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
                found |= words_of(fold(node.value), 1)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                found |= words_of(fold(node.name), 1) | {fold(node.name)}
    return frozenset(found)


def _has_docstring(node: ast.AST) -> bool:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None
