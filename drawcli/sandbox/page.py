"""The page of the sandbox in a browser."""

from collections.abc import Sequence
from html import escape
from typing import Final

from drawcli import __version__
from drawcli.sandbox.tasks import Status, Task

REFRESH_SECONDS: Final = 3
_TONE: Final = {
    Status.PENDING: "wait",
    Status.PROCESSING: "wait",
    Status.COMPLETED: "good",
    Status.CONFIRMED: "good",
    Status.FAILED: "bad",
}
_STYLE: Final = """
:root { color-scheme: light dark; --line: light-dark(#d5d9e0, #3a4150);
  --soft: light-dark(#5a6372, #a3adbd); --good: light-dark(#0a6b3d, #6fd8a2);
  --bad: light-dark(#a3192b, #ff9aa5); --wait: light-dark(#7a5200, #f0c36a); }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; background: light-dark(#fff, #14171d);
  color: light-dark(#1b2029, #e8ebf0); }
.banner { margin: 0; padding: .8rem 1rem; text-align: center; font-weight: 700;
  letter-spacing: .04em; background: #ffc400; color: #1b1400; position: sticky; top: 0; }
main { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
main p { max-width: 44rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th, small, footer { color: var(--soft); font-weight: 400; }
td small { display: block; overflow-wrap: anywhere; }
.good { color: var(--good); } .bad { color: var(--bad); } .wait { color: var(--wait); }
footer { margin-top: 2rem; font-size: .875rem; }
"""


def page(tasks: Sequence[Task]) -> str:
    """Return the page as HTML, with the tasks, newest first."""
    rows = "".join(_row(task) for task in reversed(tasks))
    table = (
        '<div class="table"><table><thead><tr><th>Received (UTC)</th><th>Status</th>'
        f"<th>Upload</th><th>Template</th></tr></thead><tbody>{rows}</tbody></table></div>"
        if rows
        else "<p>No task yet. Upload a series, and it appears here.</p>"
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{REFRESH_SECONDS}">
<title>DRAW sandbox - not for clinical use</title>
<style>{_STYLE}</style>
</head>
<body>
<p class="banner" role="alert">DEMONSTRATION AND TRAINING - NOT FOR CLINICAL USE</p>
<main>
<h1>DRAW sandbox</h1>
<p>A toy DRAW server on this computer, with the protocol of the real one but without knowledge of
anatomy: it draws the outline of the body, bone and lungs by thresholds, and everything else at
fixed positions. No contour from here may be used for a patient.</p>
<h2>Tasks ({len(tasks)})</h2>
{table}
<footer>drawcli {escape(__version__)} sandbox. This page reloads every
{REFRESH_SECONDS} seconds.</footer>
</main>
</body>
</html>
"""


def _row(task: Task) -> str:
    error = f"<small>{escape(task.error)}</small>" if task.error else ""
    names = escape(", ".join(task.structures)) or "-"
    return (
        f"<tr><td>{escape(task.received[:19].replace('T', ' '))}</td>"
        f'<td class="{_TONE[task.status]}">{escape(task.status)}{error}</td>'
        f"<td>{task.size / 1e6:.1f} MB<small>{escape(task.zip_name)}</small>"
        f"<small>task {escape(task.task_id)}</small></td>"
        f"<td>{escape(task.template or '-')}<small>{names}</small></td></tr>"
    )
