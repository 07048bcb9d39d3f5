"""The conformance statement of the de-identifier: its claims, its methods and its limits.

Generated from the policy with the choices of the site, so that it matches the code.

References
----------
PS3.15 E.1.3 (conformance of a de-identifier).
"""

from collections.abc import Iterator
from typing import Final

from drawcli import __version__
from drawcli.core.deid.own_elements import MEANINGS
from drawcli.core.deid.profile import (
    EDITION,
    Action,
    Choices,
    PolicyRow,
    Rows,
    fingerprint,
    policy_for,
)
from drawcli.core.deid.pseudonyms import LONGEST_SHIFT_WEEKS, SHORTEST_SHIFT_WEEKS
from drawcli.core.deid.table_single_frame import SYNTAXES
from drawcli.core.dicom.sop_classes import CT_IMAGE, MR_IMAGE, MULTI_FRAME, PT_IMAGE
from drawcli.core.dicom.tags import tag_text

_ACTIONS: Final = {
    Action.KEEP: "kept",
    Action.UID: "stand-in",
    Action.REGISTERED: "kept if registered, else stand-in",
    Action.DATE: "shifted back",
    Action.TIME: "kept with shifted dates",
    Action.EMPTY: "emptied",
    Action.NAME: "pseudonym",
    Action.PATIENT: "pseudonym",
    Action.STUDY: "pseudonym",
    Action.CLEAN: "cleaned words",
    Action.ITEMS: "rebuilt",
    Action.CODE: "known codes",
    Action.DUMMY: "dummy value",
    Action.SET: "set by drawcli",
}
_NOT_CLAIMED: Final = (
    "113101 Clean Pixel Data: pixel values do not change; images with burned-in text are refused.",
    "113105 Clean Descriptors: descriptions are not sent (a site may send cleaned words).",
    "113109 Retain Device Identity: serial numbers, station names and device UIDs are not sent.",
)


_FIXED_DATES: Final = "Every date is 2000-01-01 and every time midnight; no interval is sent."
_SHIFTED_DATES: Final = f"""
    Dates are shifted back by {SHORTEST_SHIFT_WEEKS} to {LONGEST_SHIFT_WEEKS} whole weeks, the same
    number for all studies and runs of a patient: weekdays and intervals stay. Times of day stay;
    offsets from UTC are removed.
"""
_SPLIT: Final = """
    Each frame is sent as an image of the single-frame class, with a stand-in of its own and the
    elements of the table of that class. An image is refused whose frames are not the slices of one
    volume: several stacks, temporal positions, echo times, b-values or kinds of frames.
"""
_HELD: Final = "Refused: a site may send their frames as single slices."
_DECODED: Final = (
    "Codings other than RLE, JPEG 2000 and JPEG baseline are decompressed; images that were "
    "compressed with a loss still say so."
)
_METHODS: Final = {
    "Elements": """
        Elements that no table names are removed, at every depth: private elements, overlays,
        curves, icons, group lengths, digital signatures, original and encrypted attributes, file
        meta of the source, its preamble, data after the pixels, file and folder names.""",
    "Kept values": """
        Copied byte for byte if they have the format of the attribute; emptied otherwise. Texts keep
        only words of scanners: terms of the standard, manufacturers, models and kernels; other code
        strings are emptied. Numbers too large for a measurement, and numbers of a person, a case or
        a date in the same header, are emptied, except those that the pixels need (a package with a
        record number in one of these is blocked). A time of day that equals such a number keeps
        hours and minutes. Ages of 90 years and more are emptied.""",
    "UIDs": """
        Replaced by 2.25. and 122 bits of HMAC-SHA256 under the site key: the same original has the
        same stand-in in every file, study and run; without the key none can be computed or tested.
        Only elements that name a class (or the frame of synchronized clocks) keep a UID, and only
        one that PS3.6 registers as such; a registered frame of reference is replaced.""",
    "Pseudonyms": """
        Patient ID and Patient's Name are DEID and 80 bits of HMAC-SHA256 of Patient ID and its
        issuer; Study ID likewise of the study. Birth date, accession number and referring physician
        are sent empty.""",
    "Dates and times": "{dates} The birth date is always emptied.",
    "Pixel data": """
        No value is changed. {pixels} In images that stay compressed, comments, application segments
        and data after the image are overwritten with zeros.""",
    "Multi-frame images": """{frames}""",
    "Verification": """
        An independent checker (separate code) reads every byte of the finished package and searches
        it for the names, numbers, dates, UIDs and other texts of the sources; numbers and times are
        searched for numbers, too. Words that every header has (terms of the standard, body parts,
        manufacturers) are allowed where they belong, even if a hospital or a person has such a
        name. Any finding blocks the package; no setting turns this off. The reason names the
        elements, what they hold, and the setting (`deidentify.remove`) that removes an element.""",
    "Re-identification": """
        The original UIDs, patient and study of each job are kept in a vault, AES-256-GCM under a
        key derived from the site key, in the hospital only. No original is stored in the image.""",
}
_SENT: Final = (CT_IMAGE, MR_IMAGE, PT_IMAGE)  # classes of the images in a package
_COLUMNS: Final = "| attribute | tag | Type | sent as | defined in |"


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
        "SOP classes, each with its table below. A policy number changes with its table;",
        "`drawcli vault show JOB` shows the number under which a series was sent.",
        "",
        *(f"- {_name(uid)} ({uid}), policy {fingerprint(uid, choices)}" for uid in _SENT),
        "",
        "Multi-frame classes, whose frames are sent as images of these:",
        "",
        *(f"- {_name(uid)} ({uid})" for uid in MULTI_FRAME),
        "",
        "Transfer syntaxes:",
        "",
        *(f"- {name} ({uid})" for uid, name in SYNTAXES.items()),
        "",
        "Everything else is refused with a reason, and always the whole series: other SOP classes,",
        "big endian, deflated, truncated, burned-in annotations by the header, localizers, screen",
        "saves, overlays in unused bits, pixel data longer than the image, a series that mixes",
        "patients, studies or frames of reference. A series is never sent in part.",
        "",
    )


def _methods(choices: Choices) -> Iterator[str]:
    dates = _FIXED_DATES if choices.fixed_dates else _SHIFTED_DATES
    pixels = _DECODED if choices.decompress else "Compressed images are sent as they are."
    frames = _SPLIT if choices.multiframe == "split" else _HELD
    yield from ("## How", "")
    for head, text in _METHODS.items():
        whole = text.format(dates=dates, pixels=pixels, frames=frames)
        yield f"- **{head}.** {' '.join(whole.split())}"
    yield ""


def _own_choices(choices: Choices) -> Iterator[str]:
    """Yield the choices of the site, if it has any."""
    own = [
        *(f"- also removed: {keyword}" for keyword in sorted(choices.remove)),
        *(f"- sent, cleaned word by word: {word}" for word in sorted(choices.descriptors)),
        *(
            f"- **also retained**: {keyword}, because: {reason}. If table E.1-1 removes this "
            "attribute, the site departs from the profile."
            for keyword, reason in choices.retain
        ),
    ]
    if own:
        yield from ("## Choices of this site", "", *own, "")


def _policy(choices: Choices) -> Iterator[str]:
    """Yield the rows common to all classes, then the further rows of each."""
    every = {uid: policy_for(uid, choices) for uid in _SENT}
    shared = {
        tag: row
        for tag, row in every[CT_IMAGE].items()
        if all(_alike(row, rows.get(tag)) for rows in every.values())
    }
    yield from (
        "## The tables",
        "",
        "Elements without a line are removed. Type: 1 has a value, 2 is present, 3 is optional.",
        "",
    )
    yield from _table("All images", shared)
    for uid, rows in every.items():
        own = {tag: row for tag, row in rows.items() if tag not in shared}
        yield from _table(f"Further elements of {_name(uid)}", own)


def _alike(row: PolicyRow, other: PolicyRow | None) -> bool:
    """Return whether another class treats an element alike."""
    if other is None:
        return False
    same = (row.action, row.type, row.option) == (other.action, other.type, other.option)
    return same and row.items.keys() == other.items.keys()


def _table(title: str, rows: Rows) -> Iterator[str]:
    yield from (f"### {title}", "", _COLUMNS, "|---|---|---|---|---|", *_lines(rows, ""), "")


def _lines(rows: Rows, above: str) -> Iterator[str]:
    for tag, row in sorted(rows.items()):
        option = f" ({row.option})" if row.option and row.action is not Action.EMPTY else ""
        action = f"{_ACTIONS[row.action]}{option}"
        yield f"| {above}{row.keyword} | {tag_text(tag)} | {row.type} | {action} | {row.source} |"
        yield from _lines(row.items, f"{above}> ")


def _name(sop_class: str) -> str:
    """Return the name of a SOP class in PS3.6."""
    from pydicom.uid import UID

    return UID(sop_class).name
