"""The data flow of a site, as a page with a table and as a picture, from `flows`."""

import re
from collections.abc import Iterable
from html import escape
from typing import Final

from drawcli.system.limits import EXCHANGES
from tests.hospital.flows import FLOWS, Data, Flow

PICTURE: Final = "docs/hospital/data-flow.svg"
_WORDS: Final = {
    Data.IDENTIFIED: "**yes: identified**",
    Data.PSEUDONYMOUS: "pseudonymous",
    Data.NONE: "no",
}
_WHAT: Final = """\
Every connection of drawcli. Those marked *always* are there at each site, the others only with
their setting. A test fails when the code has [an exchange](../reference/exchanges.md) that is not
in this table.

![the connections of drawcli](data-flow.svg)

The arrow points from who opens the connection to who accepts it. **Identified** data stay in the
hospital. De-identified data of patients are sent to the DRAW server ([what
leaves](../what-leaves.md)) and, sealed with the site key, to an object store if you choose one
outside: that of AWS, if `cluster.work: s3://...` has no `cluster.s3_endpoint`.
"""
_RULES: Final = """
## For the firewall

- **Outwards to the internet**: connection 1, to the host of `server.url`, TCP 443; through a
  proxy with `HTTPS_PROXY`, at most as fast as `server.bwlimit`. Connections 2 to 6 if set, to
  hosts that you name. No connection from the internet to drawcli.
- **Between machines of a cluster**: none. Each connects to the database and the shared storage.
- **Inwards**: nothing by default. `drawcli receive` and `drawcli dashboard` listen on loopback
  until a setting or option names another address. With `by: move` in `pull.sources` or
  `commitment: true` in `deliver.targets`, the archive connects to `receive.listen`.
- **Of the operating system, not of drawcli**: name lookup (DNS), time (NTP), mounts, revocation
  of certificates, mail of cron.
- `drawcli sandbox` and `drawcli demo` are for training, on loopback only.
- drawcli sends no telemetry, and looks for no updates.

Times, sizes and what happens at each limit: [limits of exchanges](../reference/exchanges.md). SOP
classes, transfer syntaxes, statuses: [the DICOM Conformance
Statement](../reference/conformance.md).
"""


def data_flow_table() -> str:
    """Return the body of the page: the picture, the table, what a firewall has to allow."""
    titles = ("what goes where", "opened by", "protocol", "port", "encrypted by", "patient data")
    rows = [
        (
            f"{number}. {flow.peer}",
            flow.content,
            flow.opens,
            flow.protocol,
            flow.port,
            flow.protection,
            _WORDS[flow.data],
        )
        for number, flow in enumerate(FLOWS, 1)
    ]
    limits = [
        (
            f"{number}. {flow.peer}",
            ("always; " if flow.is_always else "") + flow.setting,
            ", ".join(re.split("[,;]", EXCHANGES[key].content)[0] for key in flow.exchanges),
        )
        for number, flow in enumerate(FLOWS, 1)
    ]
    return "\n".join(
        [
            _WHAT,
            *table(("connection", *titles), rows),
            "\n## Where each is set, and what is limited\n",
            *table(("connection", "setting", "exchanges with limits"), limits),
            _RULES.rstrip(),
            "",
        ]
    )


def table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table in Markdown."""
    made = [f"| {' | '.join(row)} |" for row in (titles, *rows)]
    return [made[0], "|---" * len(titles) + "|", *made[1:]]


_WIDTH: Final = 980
_ROW: Final = 58
_TOP: Final = 46
_GAP: Final = 30  # between the connections to the outside and the others
_FROM: Final = 210  # right edge of the box of drawcli
_TO: Final = 650  # left edge of the peers
_STYLE: Final = """
  .paper { fill: #fff; } .box { fill: #f4f6f8; stroke: #566270; }
  .ours { fill: #e3efe9; stroke: #0b6e66; }
  text { fill: #17202a; font: 13px system-ui, sans-serif; } .small { font-size: 12px; }
  .head { font-weight: 600; } .zone { stroke: #566270; stroke-dasharray: 3 5; }
  .identified { stroke: #b3221a; stroke-width: 3; }
  .pseudonymous { stroke: #8a5c00; stroke-width: 2; }
  .none { stroke: #566270; stroke-width: 1.5; stroke-dasharray: 6 4; }
"""


def data_flow_picture() -> str:
    """Return the picture, as SVG without scripts and fonts from elsewhere."""
    bottom = _TOP + _ROW * len(FLOWS) + _GAP
    edge = _TOP + _ROW * sum(flow.may_be_outside for flow in FLOWS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + 46}" role="img">',
        "<title>The connections of drawcli: who opens them, protocol, port, patient data</title>",
        f"<style>{_STYLE}</style>",
        (
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="10" '
            'markerHeight="10" markerUnits="userSpaceOnUse" orient="auto">'
            '<path d="M0 0 8 4 0 8z" fill="#17202a"/></marker></defs>'
        ),
        f'<rect class="paper" width="{_WIDTH}" height="{bottom + 46}"/>',
        _words(20, 26, "the machine of drawcli", "head"),
        _words(_TO, 26, "may be outside the hospital", "head"),
        (
            f'<rect class="ours" x="20" y="{_TOP}" width="{_FROM - 20}" '
            f'height="{bottom - _TOP - 8}" rx="6"/>'
        ),
        _words(34, _TOP + 26, "drawcli", "head"),
        _words(34, _TOP + 46, "de-identifies, checks,", "small"),
        _words(34, _TOP + 62, "sends, re-identifies,", "small"),
        _words(34, _TOP + 78, "delivers", "small"),
        f'<path class="zone" d="M{_FROM + 10} {edge}H{_WIDTH - 10}"/>',
        _words(_TO, edge + 22, "inside the hospital", "head"),
        *(_row(number, flow) for number, flow in enumerate(FLOWS)),
        *_legend(bottom + 24),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _row(number: int, flow: Flow) -> str:
    y = _TOP + _ROW * number + 24 + (0 if flow.may_be_outside else _GAP)
    ends = (_TO, _FROM) if flow.is_inwards else (_FROM, _TO)
    port = "" if flow.port == "none" else f"port {flow.port}".replace("`", "")
    port = port.replace("port that of", "port of")
    return "\n".join(
        (
            (
                f'<path class="{flow.data.value}" d="M{ends[0]} {y}H{ends[1]}" '
                'marker-end="url(#tip)"/>'
            ),
            _words(_FROM + 20, y - 6, f"{number + 1}. {flow.protocol}"),
            _words(_FROM + 20, y + 15, port, "small"),
            (
                f'<rect class="box" x="{_TO}" y="{y - 20}" width="{_WIDTH - _TO - 20}" height="40" '
                'rx="6"/>'
            ),
            _words(_TO + 14, y - 3, flow.peer),
            _words(_TO + 14, y + 13, _protection(flow), "small"),
        )
    )


def _protection(flow: Flow) -> str:
    short = re.split(r"; |\(|, ", flow.protection)[0].strip().replace("`", "")
    short = short.replace("the mount", "encrypted by the mount, if at all")
    return short + ("; else not encrypted" if "else not" in flow.protection else "")


def _legend(y: int) -> list[str]:
    meanings = {
        Data.IDENTIFIED: "identified patient data",
        Data.PSEUDONYMOUS: "de-identified (pseudonymous)",
        Data.NONE: "no patient data",
    }
    return [
        f'<path class="{data.value}" d="M{20 + 290 * place} {y}h50"/>'
        + _words(80 + 290 * place, y + 4, words)
        for place, (data, words) in enumerate(meanings.items())
    ]


def _words(x: int, y: int, text: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x}" y="{y}">{escape(text)}</text>'
