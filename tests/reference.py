"""Write the generated pages from the code; run after a change: python -m tests.reference

A test compares the pages with what this would write.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import typer
from typer.core import TyperArgument, TyperGroup

from drawcli import __version__, errors
from drawcli.cli.commands import app
from drawcli.cli.door import Common
from drawcli.cli.help_command import sections
from drawcli.config.load import Settings
from drawcli.core.deid.conformance import statement
from drawcli.core.deid.profile import Choices
from drawcli.core.gate.rtstruct_table import FIXED, LEFT_OUT, Table, structure_set_table
from drawcli.core.jobs.job import NEXT, State
from drawcli.core.rules.conditions import OPTIONS
from drawcli.core.rules.operators import DERIVED, OPERATORS, PRESENCE, ValueKind, checker_of
from drawcli.system.limits import (
    EXCHANGES,
    RUN_HOURS,
    SILENT_IN_A_ROW,
    SILENT_IN_ALL,
)
from drawcli.system.network.limit import SLOWEST_BYTES_PER_SECOND, bytes_in_words, seconds_in_words
from drawcli.system.records import Record
from tests.bounds.table import BEGIN, END, bounds
from tests.conformance import conformance
from tests.hospital.flow_pages import PICTURE, data_flow_picture, data_flow_table
from tests.hospital.soup import soup_list

_COMMON: Final = frozenset(Common._fields)
ROOT: Final = Path(__file__).parents[1]
SETTINGS: Final = "docs/reference/settings.md"
RENEW: Final = "python -m tests.reference"
_NOTE: Final = f"<!-- written from the code by '{RENEW}'; changes by hand are lost -->"
_CONFORMANCE: Final = (
    f"What drawcli {__version__} does in a DICOM network, after PS3.2: services, presentation "
    "contexts, negotiation, statuses. A test compares the tables with what associations "
    "negotiate. Data flow, with each peer: [data flow and network](../hospital/data-flow.md)."
)
_SAMPLES: Final[dict[ValueKind, Any]] = {
    ValueKind.NUMBER: 3,
    ValueKind.DATE: "2026-01-31",
    ValueKind.TIME: "08:30",
    ValueKind.AGE: "064Y",
    ValueKind.NAME: "Doe^Jane",
    ValueKind.TEXT: "pelvis",
    ValueKind.FLAG: True,
    ValueKind.ANY: "pelvis",
}
_STATES: Final[dict[State, str]] = {
    State.WAITING: "files of the series are still arriving, or it is incomplete",
    State.FOUND: "the series is complete and of a supported kind",
    State.UNMATCHED: "no rule matches; tried again when rules or templates change",
    State.AMBIGUOUS: "rules with different templates match; tried again when they change",
    State.EXCLUDED: "a rule says that it is never sent; tried again when the rules change",
    State.MATCHED: "it has a template, by a rule or by `assign`",
    State.PACKAGED: "the de-identified package is on disk and has passed the privacy gate",
    State.UPLOADED: "the server has it and has returned a task id",
    State.SEGMENTED: "the server reports that the structure set is ready",
    State.FETCHED: "the structure set is downloaded and has passed the acceptance gate",
    State.DELIVERED: "the re-identified structure set is in its place, durably",
    State.DONE: "the delivery is confirmed to the server, which deletes its copy",
    State.CANCELLED: "cancelled by a user",
}
_EXIT_CODES: Final[dict[int, str]] = {
    0: "success, also when there was nothing to do",
    1: "a bug in drawcli",
    2: "wrong usage",
    3: "settings, rules or templates cannot be used",
    4: "the ledger is unreadable",
    5: "the server refuses the token",
    6: "the run finished; at least one job is newly held",
    7: "server or datastore not reachable: try later",
    8: "the privacy gate blocked at least one upload",
    9: "`--fail-if-idle` was given and there was nothing to do",
    11: "another run is active",
    12: "not enough disk space or memory",
    130: "interrupted",
}


def pages() -> dict[str, str]:
    """Return every generated page, by its path in the repository."""
    made = {
        "commands": commands(),
        "settings": settings(),
        "states": states(),
        "exit-codes": exit_codes(),
        "operators": operators(),
        "structure-set": structure_set(),
        "exchanges": exchanges(),
        "conformance": conformance(_head("DICOM Conformance Statement", _CONFORMANCE)),
    }
    reasons = (ROOT / "docs/reasons.md").read_text(encoding="utf-8")
    copied = {f"drawcli/data/{name}.md": made[name] for name in ("settings", "states")}
    return (
        {f"docs/reference/{name}.md": text for name, text in made.items()}
        | copied
        | {
            "docs/deidentification.md": statement(Choices()),
            "docs/explanation/limits.md": _with_bounds("docs/explanation/limits.md"),
            "docs/hospital/data-flow.md": _head("Data flow and network", data_flow_table()),
            PICTURE: data_flow_picture(),
            "docs/hospital/soup.md": _head("SOUP list", soup_list()),
            "drawcli/data/reasons.md": reasons,  # what `drawcli reasons` reads, without internet
        }
    )


def _with_bounds(name: str) -> str:
    """Return a page that people write, with the table of the bounds in it."""
    text = (ROOT / name).read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    return before + bounds() + rest.partition(END)[2]


def commands() -> str:
    """Return the page of all commands with their arguments and options."""
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    what = (
        "Every command takes the common options, before its name or after it. With `--json` it "
        'prints one object: `{"schema": 1, "command", "status": "success|partial|error", "data", '
        '"errors"}`. Commands that change something take `-n/--dry-run`: nothing is written and no '
        "connection opened."
    )
    parts = [_head("Commands", what)]
    for use, names in sections(root, is_top=True):
        rows = [
            f"| [`{name}`](#drawcli-{name}) | {_first(root.commands[name])} |" for name in names
        ]
        parts += [f"| {use.lower()} | |\n|---|---|", *rows, ""]
    parts += [
        "| common option | default | |\n|---|---|---|",
        *_rows(root.commands["status"], is_common=True),
        "",
    ]
    for name in root.commands:
        parts += _section(root.commands[name], f"drawcli {name}", 2)
    return "\n".join(parts).rstrip() + "\n"


def _first(command: Any) -> str:
    """Return the first line of the help of a command."""
    return str(command.help or "").strip().partition("\n")[0]


def _section(command: Any, path: str, depth: int) -> Iterator[str]:
    yield f"{'#' * depth} {path}\n"
    yield f"{(command.help or '').strip()}\n"
    if isinstance(command, TyperGroup):
        for name in command.commands:
            yield from _section(command.commands[name], f"{path} {name}", depth + 1)
    elif rows := list(_rows(command, is_common=False)):
        yield "| argument or option | default | |\n|---|---|---|"
        yield "\n".join(rows) + "\n"


def _rows(command: Any, *, is_common: bool) -> Iterator[str]:
    for one in command.params:
        if (one.name in _COMMON) is not is_common or one.name == "help":
            continue
        names = ", ".join(f"`{name}`" for name in (*one.opts, *one.secondary_opts))
        if isinstance(one, TyperArgument):
            names = f"`{one.metavar or str(one.name).upper()}`"
        yield f"| {names} | {_shown_default(one)} | {_cell(one.help)} |"


def settings() -> str:
    """Return the page of all settings: keys, defaults and variables by the code.

    The meanings are written by hand, in the last column of the page itself.
    """
    page = (ROOT / SETTINGS).read_text(encoding="utf-8")
    meanings = dict(re.findall(r"^\| `([a-z0-9_.]+)` \|.*\| (.+) \|$", page, re.MULTILINE))
    rows = []
    for key, default in _keys():
        variable = "DRAWCLI_" + key.upper().replace(".", "__")
        meaning = meanings.get(key, "(write here what it means)")
        rows.append(f"| `{key}` | {_value(default)} | `{variable}` | {meaning} |")
    what = (
        "`drawcli.yaml` is found by `--config`, `$DRAWCLI_CONFIG`, in the current folder, in "
        "your configuration folder, or as `/etc/drawcli/drawcli.yaml`. An option of the command "
        "line overrides an environment variable, which overrides the file, which overrides the "
        "default. Relative paths are "
        "relative to the file. All errors are listed together, with line and column; an unknown "
        "key is shown with the nearest known one. The meanings are written by hand, the other "
        "columns by the code."
    )
    return "\n".join(
        [
            _head("Settings", what),
            "| key | default | environment variable | meaning |\n|---|---|---|---|",
            *rows,
            "",
        ]
    )


def states() -> str:
    """Return the page of all states and the moves between them."""
    rows = [
        f"| `{one}` | {_STATES[one]} | {', '.join(f'`{to}`' for to in State if to in NEXT[one])} |"
        for one in State
    ]
    what = (
        "The state of a job. Whether it is held, how often a step failed and when it is tried "
        "again are shown beside it: see [reasons](../reasons.md)."
    )
    head = [_head("States", what), "| state | what is true then | may become |\n|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def exit_codes() -> str:
    """Return the page of the exit codes, with the errors that lead to them."""
    raised: dict[int, list[str]] = {}
    for kind in vars(errors).values():
        is_one = isinstance(kind, type) and issubclass(kind, errors.DrawcliError)
        if is_one and kind is not errors.DrawcliError:
            what = (kind.__doc__ or "").partition("\n")[0].rstrip(".")
            raised.setdefault(kind.exit_code, []).append(what)
    rows = [
        f"| {code} | {meaning} | {'; '.join(raised.get(code, []))} |"
        for code, meaning in _EXIT_CODES.items()
    ]
    what = "Precedence: the codes of a run that could not finish, then 8, 6, 7."
    head = [_head("Exit codes", what), "| exit | meaning | what leads to it |\n|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def operators() -> str:
    """Return the page of what a rule may ask of which kind of value, found by asking the code."""
    kinds = [kind for kind in ValueKind if kind is not ValueKind.ANY]
    names: dict[ValueKind, str] = {kind: kind.name.lower() for kind in kinds}
    rows = [
        f"| `{one}` | " + " | ".join("yes" if _takes(one, kind) else "" for kind in kinds) + " |"
        for one in OPERATORS
    ]
    facts = [f"| `{name}` | {names[kind]} |" for name, kind in DERIVED.items()]
    options = [
        f"| `{name}` | {', '.join(f'`{str(one).lower()}`' for one in values)} |"
        for name, values in OPTIONS.items()
    ]
    what = "[The rule language](../rules.md) explains them."
    return "\n".join(
        [
            _head("Rule operators", what),
            f"| operator | {' | '.join(names.values())} |\n|---{'|---' * len(kinds)}|",
            *rows,
            "\n## Facts of a series\n\n| fact | kind |\n|---|---|",
            *facts,
            "\n## Options beside an operator\n\n| option | values; the first is the default |",
            "|---|---|",
            *options,
            "",
        ]
    )


def structure_set() -> str:
    """Return the page of what a delivered structure set consists of."""
    left_out = ", ".join(f"`{name}`" for name in sorted(LEFT_OUT))
    what = (
        "A delivered RTSTRUCT is built from this table, which follows PS3.3 A.19.3. Nothing else "
        "that a server sends is copied. Before delivery the acceptance gate reads the finished "
        "file and blocks it if it differs from the table.\n\n"
        "*Images*: the value of the images that were sent, byte for byte. *drawcli*: written by "
        "drawcli or from the settings. *Template*: from `templates.yaml`, else the server's name "
        "and colour. *Server*: the server's value if it is valid for the VR, else empty or left "
        f"out.\n\nLeft out without a report: {left_out}. "
        "Other elements are left out, and reported as `elements-removed`."
    )
    head = "| tag | VR | keyword | Type | value from | PS3.3 |\n|---|---|---|---|---|---|"
    return "\n".join(
        [_head("Delivered structure sets", what), head, *_entries(structure_set_table()), ""]
    )


def _entries(table: Table, depth: int = 0) -> Iterator[str]:
    for one in table.values():
        tag = f"({one.tag >> 16:04X},{one.tag & 0xFFFF:04X})"
        fixed = f": `{FIXED[one.keyword]}`" if one.keyword in FIXED else ""
        name = f"{'&gt; ' * depth}{one.keyword}"
        section = one.source.removeprefix("PS3.3 ")
        yield f"| {tag} | {one.vr} | {name} | {one.type} | {one.origin}{fixed} | {section} |"
        yield from _entries(one.items, depth + 1)


def exchanges() -> str:
    """Return the page of the limits of every exchange with other systems."""
    rows = [
        f"| {one.peer} | {one.content} | {seconds_in_words(one)} | "
        f"{bytes_in_words(one.largest)} | {one.consequence} |"
        for one in EXCHANGES.values()
    ]
    what = (
        "A run never waits longer and never reads more. A time covers the whole exchange: name "
        "lookup, connecting, handshake, and every try in a run; a request that is sent again with "
        "renewed tokens has the same time again. The exchange ends earlier if another limit is "
        "reached first, such as the time of a single read or write (`server.timeout_seconds`). "
        "Browsers use the [web page](../dashboard.md), which no run waits for."
    )
    titles = ("peer", "exchange", "time in total", "received at most", "at the limit")
    head = f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|"
    sums = [f"- {line}" for line in _sums()]
    in_all = "\n## Longest waits of a run\n"
    longest = (
        f"\nA run that takes longer than `notify.run_hours` ({RUN_HOURS:g}) is "
        "[reported](../alarms.md) by the next one."
    )
    return "\n".join([_head("Limits of exchanges", what), head, *rows, in_all, *sums, longest, ""])


def _sums() -> Iterator[str]:
    each, rate = EXCHANGES["status"].seconds, SLOWEST_BYTES_PER_SECOND
    last = 3 * EXCHANGES["message"].seconds + EXCHANGES["heartbeat"].seconds
    store = EXCHANGES["store"]
    yield (
        f"The DRAW server: a step stops after {SILENT_IN_A_ROW} requests in a row, or "
        f"{SILENT_IN_ALL} in all, without an answer in time, or with an invalid one after half of "
        f"it. So a silent server costs a run at most {SILENT_IN_ALL} x {each:g} s for each of "
        "poll, fetch, reidentify and upload, however many jobs wait. A refresh of the tokens "
        "without an answer ends the step at once, also for the jobs that waited for it."
    )
    yield (
        f"The DICOM node: a step stops after {SILENT_IN_A_ROW} structure sets in a row, or "
        f"{SILENT_IN_ALL} in all, without an answer: at most {SILENT_IN_ALL} x "
        f"{store.seconds:g} s, and a second for each {store.rate / 1000:g} kB. A node that cannot "
        "be reached is tried once."
    )
    yield (
        "Alarms and heartbeats are sent after the run has released its lock: two messages, one "
        "more if the previous run was interrupted, and a heartbeat, "
        f"{last:g} s at most. A run does not wait for its first heartbeat."
    )
    yield (
        "A file server: `scan.answer_seconds` for each folder of `datastore`, once in a run, and "
        "for one structure set."
    )
    yield (
        "Locks of other drawcli processes: ledger, audit log and scan index one minute, tokens "
        "two; then the job waits, or the run ends with 4, 6 or 11. The lock of a run is not waited "
        "for."
    )
    yield (
        f"A transfer may continue at {rate / 1000:g} kB a second or more: a package of "
        f"200 MB for {200e6 / rate / 60:.0f} minutes, a structure set of 20 MB for "
        f"{20e6 / rate / 60:.0f}."
    )


def _takes(operator: str, kind: ValueKind) -> bool:
    if operator in PRESENCE:
        return True
    sample: Any = _SAMPLES[kind]
    if operator in ("in", "not_in", "between"):
        sample = [sample, sample]
    try:
        checker_of(operator, sample, kind)
    except ValueError:
        return False
    return True


def _keys() -> Iterator[tuple[str, Any]]:
    for name, field in Settings.fields.items():
        default = None if field.is_required else field.default
        if isinstance(default, Record):
            for part, one in default.fields.items():
                yield f"{name}.{part}", one.default
        else:
            yield name, default


def _value(default: Any) -> str:
    if default is None or default == "":
        return ""
    if isinstance(default, Mapping):
        return "`{}`" if not default else "see meaning"
    if isinstance(default, tuple | list | frozenset):
        return f"`[{', '.join(map(str, default))}]`"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if not isinstance(default, str | int | float | Path):
        return ""
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def _shown_default(one: Any) -> str:
    default = one.default
    is_said = isinstance(default, str | int | float | Path) and not isinstance(default, bool)
    return f"`{default}`" if is_said and default != "" and one.name != "verbose" else ""


def _cell(text: object) -> str:
    return " ".join(str(text or "").split()).replace("|", "\\|")


def _head(title: str, what: str) -> str:
    return f"{_NOTE}\n# {title}\n\n{what}\n"


def main(tell: Callable[[str], None]) -> None:
    """Write every page that is not as it should be."""
    for name, text in pages().items():
        path = ROOT / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            tell(f"written: {name}")


if __name__ == "__main__":
    main(typer.echo)
