"""Draw the pictures of README and docs from phantoms: python -m tests.pictures [FOLDER]

Everything is made by drawcli itself, in a temporary folder, with a sandbox server on this machine.
The web page needs a Chromium on the PATH; without one its picture stays as it is.
"""

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Final

import httpx
from PIL import Image
from rich.console import Console
from rich.text import Text

from drawcli.core.pictures.chart import CHART_STYLE, chart_picture
from drawcli.operations.qa.site_charts import site_charts
from tests.operations.qa.cases import cases
from tests.ports import free_port

FOLDER: Final = Path(__file__).parents[1] / "docs" / "pictures"
NAMES: Final = ("demo.svg", "status.svg", "chart.svg", "sheet.png", "page.png")
STATUS: Final = ("status", "status --all")
COLUMNS: Final = 112
LONGEST: Final = 300  # seconds until a server answers, or a job is finished
IMPLAUSIBLE: Final = "  Thorax_OAR:\n    structures: {Heart: {volume_cm3: [9000, 9999]}}\n"


def main(folder: Path, slices: int = 60, size: int = 192) -> None:
    """Draw every picture into a folder, of scans of so many slices, and pixels at each side."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chart.svg").write_text(control_chart(), encoding="utf-8")
    with TemporaryDirectory(prefix="drawcli-") as name:
        site = Path(name).resolve()
        demo = drawcli(site, "demo", "--slices", str(min(24, slices)), "--size", str(min(96, size)))
        demo = re.sub(r"/\S*/drawcli-demo-\w+", "/tmp/drawcli-demo", demo)  # noqa: S108 - a text
        write_svg(folder / "demo.svg", f"$ drawcli demo\n{demo}")
        with served(site, "sandbox", ready="/api/health") as server:
            drawcli(site, "phantoms", "store", "--slices", str(slices), "--size", str(size))
            run_site(site, server)
        shown = [f"$ drawcli {line}\n{drawcli(site, *line.split())}" for line in STATUS]
        write_svg(folder / "status.svg", "\n".join(shown))
        job = drawcli(site, "status", "--all", "--csv", "--state", "done").splitlines()[1]
        drawcli(site, "preview", job.partition(",")[0], "--to", "sheet.png")
        write_png(site / "sheet.png", folder / "sheet.png")
        if chromium := shutil.which("chromium") or shutil.which("google-chrome"):
            with served(site, "dashboard", ready="/") as page:
                photograph(chromium, f"{page}/", site / "page.png")
            write_png(site / "page.png", folder / "page.png")


def control_chart() -> str:
    """Return the chart of a structure whose model has changed, on a white ground."""
    both = [*cases(0, 70), *cases(70, 50, dice=0.87, catalogue_digest="second")]
    records = [
        replace(one, delivered_at=datetime(2026, 1, 5, tzinfo=UTC) + timedelta(days=2.2 * number))
        for number, one in enumerate(both)
    ]
    (charts,) = site_charts(records, ["dice"], 30)
    svg = chart_picture(charts.charts, charts.changes, baseline=30, most=120)
    style = f"<style>{CHART_STYLE}</style><rect width='100%' height='100%' fill='#fff'/>"
    return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ').replace(
        ">", f">{style}", 1
    )


def run_site(site: Path, server: str) -> None:
    """Make a site with two delivered jobs, and one that is held for an implausible volume."""
    drawcli(site, "init", ".", "--datastore", "store", "--url", server, "--practice")
    templates = site / "templates.yaml"
    text = templates.read_text(encoding="utf-8").replace("  Thorax_OAR:\n", IMPLAUSIBLE)
    templates.write_text(text, encoding="utf-8")
    drawcli(site, "token", "set", "drawcli-sandbox/token.json")
    drawcli(site, "run-once")
    for _ in range(LONGEST):
        drawcli(site, "retry", "--all")
        drawcli(site, "run-once")
        jobs = drawcli(site, "status", "--all", "--csv")
        if (jobs.count(",done,"), jobs.count(",True,")) == (2, 1):
            return
        sleep(1)
    raise TimeoutError("the sandbox did not finish the three jobs")


def drawcli(site: Path, *words: str) -> str:
    """Return what a command prints to a pipe, in colour."""
    done = subprocess.run(
        command(*words), cwd=site, env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 6):
        raise RuntimeError(f"drawcli {' '.join(words)}: {done.stderr}")
    return done.stdout.replace(f"{site}/", "")


def command(*words: str) -> list[str]:
    """Return the command line of drawcli."""
    return [sys.executable, "-m", "drawcli", *words]


def environment() -> dict[str, str]:
    """Return the environment of a terminal of one width, for scans that have arrived."""
    terminal = {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    return os.environ | terminal | {"DRAWCLI_SCAN__QUIET_MINUTES": "0"}


@contextmanager
def served(site: Path, word: str, ready: str) -> Iterator[str]:
    """Let a server of drawcli run until the end of the block; yield its address."""
    port = str(free_port())
    line, quiet = command(word, "--port", port), subprocess.DEVNULL
    with subprocess.Popen(line, cwd=site, env=environment(), stdout=quiet, stderr=quiet) as server:
        try:
            wait_for(f"http://127.0.0.1:{port}{ready}")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def wait_for(url: str) -> None:
    """Return when a server answers."""
    for _ in range(LONGEST * 10):
        try:
            httpx.get(url, timeout=5)
        except httpx.TransportError:
            sleep(0.1)
        else:
            return
    raise TimeoutError(url)


def write_svg(path: Path, text: str) -> None:
    """Write the text of a terminal, without fonts that would be fetched from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(text.rstrip()))
    svg = console.export_svg(title="drawcli", unique_id=path.stem)
    path.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), encoding="utf-8")


def write_png(source: Path, path: Path) -> None:
    """Write a small copy of a picture, with a palette that keeps the colours of lines."""
    octree = Image.Quantize.FASTOCTREE
    with Image.open(source) as picture:
        picture.thumbnail((1000, 1000))
        small = picture.convert("RGB").quantize(96, method=octree, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def photograph(chromium: str, url: str, path: Path) -> None:
    """Write what a browser without a window shows."""
    words = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1200,800"]
    with TemporaryDirectory(prefix="drawcli-") as own:  # the profile of a user has one browser
        words += [f"--user-data-dir={own}", f"--screenshot={path}"]
        subprocess.run([chromium, *words, url], check=True, capture_output=True, timeout=300)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
