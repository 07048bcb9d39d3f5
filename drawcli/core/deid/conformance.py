"""The statement that a de-identifier owes: what it claims, what it does, and what it does not.

Written from the policy itself, with the choices of the site, so that it cannot say anything else
than what is done.

References
----------
PS3.15 E.1.3 (conformance of a de-identifier).
"""

from collections.abc import Iterator
from typing import Final

from drawcli import __version__
from drawcli.core.deid.engine import MEANINGS
from drawcli.core.deid.profile import (
    EDITION,
    IMAGE_CLASSES,
    Action,
    Choices,
    PolicyRow,
    Rows,
    fingerprint,
    policy_for,
)
from drawcli.core.deid.pseudonyms import LONGEST_SHIFT_WEEKS, SHORTEST_SHIFT_WEEKS
from drawcli.core.deid.table_single_frame import SYNTAXES
from drawcli.core.dicom.tags import tag_text

_WHAT: Final = {
    Action.KEEP: "kept",
    Action.UID: "stand-in",
    Action.REGISTERED: "kept if registered, else stand-in",
    Action.DATE: "moved back",
    Action.TIME: "kept with moved dates",
    Action.EMPTY: "emptied",
    Action.NAME: "pseudonym",
    Action.PATIENT: "pseudonym",
    Action.STUDY: "pseudonym",
    Action.CLEAN: "cleaned words",
    Action.ITEMS: "built anew",
    Action.CODE: "known codes",
    Action.DUMMY: "dummy value",
    Action.SET: "set by drawcli",
}
_NOT_CLAIMED: Final = (
    "113101 Clean Pixel Data: pixels are never changed; images with burned-in text are refused.",
    "113105 Clean Descriptors: descriptions do not leave (a site may let cleaned words out).",
    "113109 Retain Device Identity: serial numbers, station names and device UIDs do not leave.",
)


_FIXED: Final = "Every date is 2000-01-01 and every time midnight; no interval leaves."
_MOVED: Final = f"""
    Dates are moved back by whole weeks, {SHORTEST_SHIFT_WEEKS} to {LONGEST_SHIFT_WEEKS}, one number
    for each patient, the same for all studies and runs: weekdays and intervals stay. Times of day
    stay; offsets from UTC are removed.
"""
_METHODS: Final = {
    "Elements": """
        What no table names is removed, at every depth: private elements, overlays, curves, icons,
        group lengths, digital signatures, original and encrypted attributes, file meta of the
        source, its preamble, what follows the pixels, file and folder names.""",
    "Kept values": """
        Copied byte for byte where they look as values of the attribute do; emptied otherwise. Of
        texts only the words of scanners stay: terms of the standard, makers, models and kernels;
        code strings are emptied where they are none. Numbers that are too large for what is
        measured, and numbers of a person, a case or a day of the same header, are emptied, but for
        those that the pixels need (a package with a record number in one of these is blocked). A
        time of day that is written as such a number keeps its minute. Ages of 90 years and more
        are emptied.""",
    "UIDs": """
        Replaced by 2.25. and 122 bits of HMAC-SHA256 under the site key: the same original has the
        same stand-in in every file, study and run; nobody without the key can compute or test one.
        Only in elements that name a class (or the frame of synchronized clocks) a UID stays, and
        only one that PS3.6 registers as that; a registered frame of reference is replaced.""",
    "Pseudonyms": """
        Patient ID and Patient's Name are DEID and 80 bits of HMAC-SHA256 of Patient ID and its
        issuer; Study ID likewise of the study. Birth date, accession number and referring physician
        are sent empty.""",
    "Dates and times": "{dates} The birth date is never moved, always emptied.",
    "Pixel data": """
        Not changed. In compressed images comments, application segments and whatever lies behind
        the image are overwritten with zeros.""",
    "Verification": """
        A second part of the program, which shares no code with the first, reads every byte of the
        finished package and looks for the names, numbers, dates, UIDs and other texts of the
        sources, numbers also among numbers and times. Words that every header has (terms of the
        standard, parts of bodies, makers) count as nobody's where they belong, though a hospital
        or a person is called so. Anything found blocks the package; no setting turns this off.
        The reason names elements and what kind of word stands in them, and the setting
        (`deidentify.remove`) that takes an element out.""",
    "Re-identification": """
        The way back (original UIDs, patient and study) is kept for each job in a vault, AES-256-GCM
        under a key derived from the site key, in the hospital only. No original is stored in the
        image itself.""",
}
_COLUMNS: Final = "| attribute | tag | Type | leaves | defined in |"


def statement(choices: Choices) -> str:
    """Return the conformance statement of a site as Markdown."""
    parts = (_claims(choices), _accepted(choices), _methods(choices), _own_choices(choices))
    lines = [line for part in (*parts, _policy(choices)) for line in part]
    return "\n".join(lines).rstrip() + "\n"


def _claims(choices: Choices) -> Iterator[str]:
    yield from (
        "# De-identification: conformance statement",
        "",
        f"drawcli {__version__} de-identifies by the Basic Application Level Confidentiality",
        f"Profile of DICOM PS3.15 Annex E, edition {EDITION}. `drawcli deidentify --conformance`",
        "prints this statement with the choices of a site.",
        "",
        "Claimed, and written into each image (Deidentification Method Code Sequence):",
        "",
        *(f"- {code} {MEANINGS[code]}" for code in choices.claims),
        "",
        "Not claimed:",
        "",
        *(f"- {line}" for line in _NOT_CLAIMED),
        "",
    )


def _accepted(choices: Choices) -> Iterator[str]:
    yield from (
        "## What is accepted",
        "",
        "SOP classes, each with a table of its own below. A policy number changes with its table;",
        "`drawcli vault show JOB` says by which one a series left.",
        "",
        *(f"- {_name(uid)} ({uid}), policy {fingerprint(uid, choices)}" for uid in IMAGE_CLASSES),
        "",
        "Transfer syntaxes:",
        "",
        *(f"- {name} ({uid})" for uid, name in SYNTAXES.items()),
        "",
        "Everything else is refused by name, and always the whole series: other SOP classes, big",
        "endian, deflated, truncated, burned-in annotations by the header, localizers, screen",
        "saves, overlays in unused bits, pixel data longer than the image, a series that mixes",
        "patients, studies or frames of reference. A series is never sent in part.",
        "",
    )


def _methods(choices: Choices) -> Iterator[str]:
    dates = _FIXED if choices.fixed_dates else _MOVED
    yield from ("## How", "")
    for head, text in _METHODS.items():
        yield f"- **{head}.** {' '.join(text.format(dates=dates).split())}"
    yield ""


def _own_choices(choices: Choices) -> Iterator[str]:
    """Yield what the site does otherwise than usual; nothing where it does not."""
    own = [
        *(f"- removed besides: {keyword}" for keyword in sorted(choices.remove)),
        *(f"- let out, cleaned word by word: {word}" for word in sorted(choices.descriptors)),
        *(
            f"- **retained besides**: {keyword}, because: {reason}. Where table E.1-1 removes this "
            "attribute, the site departs from the profile."
            for keyword, reason in choices.retain
        ),
    ]
    if own:
        yield from ("## What this site has chosen", "", *own, "")


def _policy(choices: Choices) -> Iterator[str]:
    """Yield what all classes have in common once, then what each has besides."""
    every = [policy_for(one, choices) for one in IMAGE_CLASSES]
    shared = {
        tag: row for tag, row in every[0].items() if all(_alike(row, t.get(tag)) for t in every)
    }
    yield from (
        "## The tables",
        "",
        "What no line names is removed. Type: 1 has a value, 2 is present, 3 may be missing.",
        "The items of a sequence are told once: *as above* says that they are the same again.",
        "",
    )
    told: dict[str, PolicyRow] = {}
    yield from _table("All images", shared, told)
    for one, rows in zip(IMAGE_CLASSES, every, strict=True):
        own = {tag: row for tag, row in rows.items() if tag not in shared}
        yield from _table(f"{_name(one)} besides", own, told)


def _alike(row: PolicyRow, other: PolicyRow | None) -> bool:
    """Tell whether another class does the same with an element."""
    if other is None:
        return False
    same = (row.action, row.type, row.option) == (other.action, other.type, other.option)
    return same and row.items.keys() == other.items.keys()


def _same(row: PolicyRow, other: PolicyRow | None) -> bool:
    """Tell whether two rows do the same, at every depth."""
    if other is None or not _alike(row, other):
        return False
    return all(_same(inner, other.items[tag]) for tag, inner in row.items.items())


def _table(title: str, rows: Rows, told: dict[str, PolicyRow]) -> Iterator[str]:
    yield from (f"### {title}", "", _COLUMNS, "|---|---|---|---|---|")
    yield from _lines(rows, "", told)
    yield ""


def _lines(rows: Rows, above: str, told: dict[str, PolicyRow]) -> Iterator[str]:
    for tag, row in sorted(rows.items()):
        option = f" ({row.option})" if row.option and row.action is not Action.EMPTY else ""
        known = bool(row.items) and _same(row, told.get(row.keyword))
        place, leaves = tag_text(tag), f"{_WHAT[row.action]}{option}{', as above' if known else ''}"
        yield f"| {above}{row.keyword} | {place} | {row.type} | {leaves} | {row.source} |"
        if row.items and not known:
            told[row.keyword] = row
            yield from _lines(row.items, f"{above}> ", told)


def _name(sop_class: str) -> str:
    """Return what PS3.6 calls a SOP class."""
    from pydicom.uid import UID

    return UID(sop_class).name
