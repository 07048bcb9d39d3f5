"""The bench runs and tells what it should. No figure that depends on the machine is judged."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

BENCH = Path(__file__).parents[1] / "bench" / "deidentify.py"
LONG = "TORTURE" in os.environ
MOST_MIB = 64  # above the interpreter with its imports


def bench(*words: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, str(BENCH), "--repeat", "1", "--json", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(BENCH.parents[1])},
        check=False,
    )
    assert done.stdout, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


@pytest.mark.skipif(sys.platform != "linux", reason="sendfile between files is Linux's")
def test_every_comparison_is_made() -> None:
    rows = bench(
        "--slices", "8", "--size", "64", "--only", "plain", "package", "gate", "step", "zip"
    )

    assert [row["name"].split(",")[0] for row in rows] == [
        "CPU",
        "CPU",
        "CPU",
        "earlier client's zip / whole step with gate",
        "earlier client's zip / package",
    ]
    assert all(row["ratio"] > 0 for row in rows)
    assert [bool(row["target"]) for row in rows] == [True, True, False, False, True]


def test_the_tools_of_today_are_measured_or_told_to_be_missing() -> None:
    peers = ("deid", "dicognito", "dicom-anonymizer")
    rows = bench("--slices", "4", "--size", "64", "--only", *peers)

    assert sorted(row["name"] for row in rows) == [f"{peer} / headers" for peer in peers]
    for row in rows:
        assert row["target"].startswith("not installed") if row["ratio"] is None else row["ratio"]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells the peak of a span")
def test_memory_does_not_grow_with_the_series() -> None:
    """40 slices of 2 MiB: twice the bound, if they were held."""
    (row,) = bench("--slices", "40", "--size", "1024", "--only", "memory")

    assert row["ratio"] <= MOST_MIB
    assert row["met"]


def test_the_way_home_is_measured_beside_pydicom() -> None:
    words = ["--slices", "4", "--structures", "2", "--points", "12", "--repeat", "1"]
    done = subprocess.run(
        [sys.executable, str(BENCH.with_name("reidentify.py")), *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(BENCH.parents[1])},
        check=False,
    )

    assert done.stdout.count("numbers: home / pydicom") == 4, done.stderr
    assert done.stdout.count("numbers: gate / pydicom") == 2


def test_the_ledger_is_measured_beside_a_bare_append() -> None:
    words = ["--jobs", "30", "60", "--json", "--open", "10", "--repeat", "3"]
    done = subprocess.run(
        [sys.executable, str(BENCH.with_name("ledger.py")), *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(BENCH.parents[1])},
        check=False,
    )

    rows = json.loads(done.stdout)
    assert [row["jobs"] for row in rows] == [30, 60]
    assert all(row["ratio"] > 0 and row["open_ms"] > 0 for row in rows)


def test_rules_are_measured_beside_reading_the_headers_once() -> None:
    script = BENCH.with_name("rules.py")
    done = subprocess.run(
        [sys.executable, str(script), "--rules", "300", "--headers", "300", "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(BENCH.parents[1])},
        check=True,
    )
    row = json.loads(done.stdout)

    assert (row["rules"], row["headers"]) == (300, 300)
    assert row["matched"] > 0
    assert row["reading_s"] > 0
    assert row["ratio"] > 0


@pytest.mark.skipif(sys.platform == "win32", reason="hands a socket to another process")
def test_an_upload_is_measured_beside_a_bare_post_and_is_never_held_in_memory() -> None:
    script = BENCH.with_name("upload.py")
    done = subprocess.run(
        [sys.executable, str(script), "--megabytes", "80", "--repeat", "1", "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(BENCH.parents[1])},
        check=False,  # a throughput is not judged here
    )
    throughput, memory = json.loads(done.stdout)

    assert throughput["ratio"] > 0
    assert throughput["target"] == "at least 0.8"
    if memory["ratio"] is not None:  # Linux alone tells
        assert memory["ratio"] < 30  # of 80


def test_a_scan_is_measured_beside_a_walk_and_beside_pydicom() -> None:
    script = BENCH.with_name("scan.py")
    words = ["--files", "300", "--growth", "200", "400", "--repeat", "1", "--million", "500"]
    done = subprocess.run(
        [sys.executable, str(script), *words, "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(BENCH.parents[1])},
        check=True,
    )
    rows = json.loads(done.stdout)

    assert [row["name"].split(",")[0] for row in rows] == [
        "nothing new",
        "the same",
        "whole run-once",
        "memory of it",
        "first scan of 300",
        "first scan of 300",
        "first scan",
        "first scan of 500 files",
        "nothing new in 500",
        "the same",
    ]
    beside_starts = ("microseconds", "above start")  # differences: so small, they may be below 0
    sure = [row for row in rows if not any(word in row["name"] for word in beside_starts)]
    assert all(row["ratio"] > 0 for row in sure)


@pytest.fixture(scope="module")
def every() -> Any:
    """Return bench/all.py as a module."""
    spec = importlib.util.spec_from_file_location("bench_all", BENCH.with_name("all.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def row(name: str, ours: float, theirs: float, *, faster: bool = False) -> dict[str, Any]:
    ratio = theirs / ours if faster else ours / theirs
    return {"name": name, "ratio": ratio, "ours": ours, "theirs": theirs, "target": ""}


@pytest.mark.parametrize(
    ("before", "now", "faster", "worse"),
    [
        (2.0, 2.9, False, 0),
        (2.0, 3.1, False, 1),
        (2.0, 0.1, False, 0),
        (6.0, 4.1, True, 0),
        (6.0, 3.9, True, 1),
        (6.0, 60.0, True, 0),
    ],
)
def test_a_ratio_is_a_regression_in_the_direction_in_which_it_is_worse(
    every: Any, before: float, now: float, *, faster: bool, worse: int
) -> None:
    ours, theirs = (1.0, now) if faster else (now, 1.0)
    found = list(every.figures("x", [row("one", ours, theirs, faster=faster)]))

    told = list(every.regressions(found, {"x: one": before, "x: another": 1.0}))

    assert len(told) == worse


def test_what_a_bench_asks_for_and_does_not_get_is_told_without_a_reference(every: Any) -> None:
    asked = row("one", 2, 1) | {"target": "at most 1.5", "met": False}

    (told,) = every.regressions(list(every.figures("x", [asked])), {})

    assert told == "x: one: 2.00, asked: at most 1.5"


def test_what_could_not_be_measured_here_is_left_out(every: Any) -> None:
    rows = [{"name": "a tool that is not installed", "ratio": None}, row("one", 1, 2)]

    assert [one.name for one in every.figures("x", rows)] == ["one"]


def test_every_bench_is_run_by_all(every: Any) -> None:
    scripts = {path.stem for path in BENCH.parent.glob("*.py")}

    assert set(every.BENCHES) == scripts - {"all", "stores"}
    assert set(every.SMALL) <= set(every.BENCHES)


@pytest.mark.parametrize(
    "only",
    [["rules"], pytest.param([], marks=pytest.mark.skipif(not LONG, reason="make torture"))],
    ids=["one", "all"],
)
def test_one_command_writes_table_plot_and_figures(tmp_path: Path, only: list[str]) -> None:
    words = ["--small", "--out", str(tmp_path), *(["--only", *only] if only else [])]

    done = subprocess.run(
        [sys.executable, str(BENCH.with_name("all.py")), *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(BENCH.parents[1])},
        check=True,
    )

    figures = json.loads((tmp_path / "bench-reference.json").read_text())["figures"]
    assert figures
    for one in figures:
        assert (
            f"| {one['bench']} | {one['name']} |" in (tmp_path / "bench-reference.md").read_text()
        )
        assert one["name"] in done.stdout
    drawn = ET.fromstring((tmp_path / "bench-reference.svg").read_text())  # noqa: S314 - our own
    assert len(drawn.findall("{*}rect")) == len(figures) + 1  # and the ground
