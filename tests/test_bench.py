"""The bench runs and tells what it should. No figure that depends on the machine is judged."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.postgres import needs_postgres

BENCH = Path(__file__).parents[1] / "bench" / "deidentify.py"
LONG = "TORTURE" in os.environ
MOST_MIB = 64  # above the interpreter with its imports


def printed(script: str, words: str) -> str:
    """Return what a bench prints; of so small sizes, no ratio is judged."""
    done = subprocess.run(
        [sys.executable, str(BENCH.with_name(script)), *words.split()],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(BENCH.parents[1])},
        check=False,
    )
    assert done.stdout, done.stderr
    return done.stdout


def rows_of(script: str, words: str) -> list[dict[str, Any]]:
    """Return the figures of a bench."""
    rows: list[dict[str, Any]] = json.loads(printed(script, f"{words} --json"))
    return rows


def bench(*words: str) -> list[dict[str, Any]]:
    return rows_of(BENCH.name, " ".join(("--repeat 1", *words)))


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
    assert [bool(row["asked"]) for row in rows] == [True, True, False, False, True]


def test_the_tools_of_today_are_measured_or_told_to_be_missing() -> None:
    peers = ("deid", "dicognito", "dicom-anonymizer")
    rows = bench("--slices", "4", "--size", "64", "--only", *peers)

    assert sorted(row["name"] for row in rows) == [f"{peer} / headers" for peer in peers]
    for row in rows:
        assert row["asked"].startswith("not installed") if row["ratio"] is None else row["ratio"]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells the peak of a span")
def test_memory_does_not_grow_with_the_series() -> None:
    """40 slices of 2 MiB: twice the bound, if they were held."""
    (row,) = bench("--slices", "40", "--size", "1024", "--only", "memory")

    assert row["ours"] <= MOST_MIB
    assert row["met"]


def test_the_way_home_is_measured_beside_pydicom() -> None:
    out = printed("reidentify.py", "--slices 4 --structures 2 --points 12 --large 1 --repeat 1")

    assert out.count("numbers: home / pydicom") == 4
    assert out.count("numbers: gate / pydicom") == 2
    assert out.count(" / parsing") == 12
    assert out.count("MB: peak") == 4


def test_the_ledger_is_measured_beside_a_bare_append() -> None:
    rows = rows_of("ledger.py", "--jobs 30 60 --open 10 --repeat 3 --backlog 20 600")

    assert [row["name"].split(",")[0] for row in rows] == [
        "update",
        "update",
        "update",
        "opening",
        "is a series known? 60 / 30 jobs",
        "memory of a reader",
        "a commit",
        "a job by its id",
        "jobs of a series",
        "reading all",
    ]
    assert all(row["ours"] > 0 and row["theirs"] > 0 and row["ratio"] > 0 for row in rows)
    assert rows[0]["least"] <= rows[0]["ratio"] <= rows[0]["most"]


def test_rules_are_measured_beside_reading_the_headers_once() -> None:
    (row,) = rows_of("rules.py", "--rules 300 --headers 300 --repeat 1")

    assert row["name"] == "300 rules, 300 headers / reading those"
    assert row["ours"] > 0
    assert row["theirs"] > 0


@pytest.mark.skipif(sys.platform == "win32", reason="hands a socket to another process")
def test_an_upload_is_measured_beside_a_bare_post_and_is_never_held_in_memory() -> None:
    throughput, memory = rows_of("upload.py", "--megabytes 80 --repeat 1")

    assert throughput["ratio"] > 0
    assert throughput["asked"] == "at least 0.8"
    if memory["ratio"] is not None:  # Linux alone tells
        assert memory["ours"] < 30  # of 80


@pytest.mark.skipif(sys.platform == "win32", reason="ends a process by a signal")
def test_receiving_is_measured_beside_a_bare_node_that_syncs_each_object() -> None:
    bare, *rest = rows_of("network.py", "--slices 6 --size 64 --repeat 1")

    assert bare["name"] == "6 objects of 64 x 64: receive / a bare SCP of pynetdicom with fsync"
    assert bare["ratio"] > 0
    assert bare["asked"] == "at most 1.2"
    if sys.platform == "linux":
        assert rest[0]["met"]
    pulls = [row for row in rest if ": pull with fsync / dcmtk's getscu" in row["name"]]
    assert pulls[0]["ratio"] or pulls[0]["asked"].startswith("not installed")


def test_a_scan_is_measured_beside_a_walk_and_beside_pydicom() -> None:
    rows = rows_of("scan.py", "--files 300 --growth 200 400 --repeat 1")

    assert [row["name"].split(",")[0] for row in rows] == [
        "nothing new",
        "the same",
        "run-once",
        "memory of it",
        "first scan of 300",
        "first scan of 300",
        "first match of 3 series of 100 slices / scans",
        "match after a change of the rules",
        "first scan",
        "memory",
        "memory",
        "nothing new",
        "the same",
    ]
    sure = [row for row in rows if "time a file" not in row["name"]]  # so few: it may be below 0
    assert all(row["ratio"] > 0 for row in sure)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return bench/scale_model.py as a module."""
    monkeypatch.syspath_prepend(str(BENCH.parent))
    return importlib.import_module("scale_model")


def costs(model: Any, **other: Any) -> Any:
    """Return figures with one second of CPU in each step."""
    steps = {name: model.StepCost(1.0, 0.0, 0.0) for name in model.PATH}
    given = {"steps": steps, "server": 0.0, "transactions": 10.0, "statement": 0.001}
    return model.Figures(**{**given, "heavy_mb": 10.0, "heavy_cpu": 1.0, "packed": 0.5, **other})


def test_the_model_shares_cores_and_waits_for_a_server_that_is_slow(model: Any) -> None:
    figures = costs(model)
    one, two, four = (model.simulated(figures, n, 8, 2) for n in (1, 2, 4))
    waiting = {name: model.StepCost(0.1, 0.0, 0.9) for name in model.PATH}
    overlapped = model.simulated(costs(model, steps=waiting), 4, 8, 2)
    slow = model.simulated(costs(model, server=30.0), 4, 8, 2)

    assert one == pytest.approx(48, abs=6)  # 8 jobs of six steps, one after another
    assert one / two == pytest.approx(2, abs=0.3)
    assert two / four == pytest.approx(1, abs=0.2)  # there are two cores
    assert overlapped < two / 1.5  # what waits takes no core
    assert slow > 8 * 30


def test_the_plan_names_the_resource_that_is_full_first(model: Any) -> None:
    group = model.Group()
    found = model.needs(costs(model), group)
    slow = model.needs(costs(model), model.Group(server_seconds=6000.0))
    again = model.Figures.of(json.loads(json.dumps(costs(model).as_plain())))

    assert [one.use for one in found] == sorted((one.use for one in found), reverse=True)
    cores = next(one for one in found if one.resource == "cores of the hosts")
    each = 5 + group.megabytes / 10  # five steps, and the de-identification of so many MB
    assert cores.needed == pytest.approx(1_000_000 / 2_592_000 * group.peak * each)
    assert slow[0].resource == "server"
    assert "**too much**" in "\n".join(model.plan_lines(again, model.Group(hosts=1)))


def test_the_plan_is_printed_from_the_figures_that_the_page_has() -> None:
    out = printed("scale.py", "--plan")
    page = (BENCH.parents[1] / "docs/explanation/planning.md").read_text(encoding="utf-8")

    assert out.strip() in page


@needs_postgres
@pytest.mark.sweep
def test_lanes_are_measured_beside_the_model() -> None:
    large, whole, *runs = rows_of("scale.py", "--jobs 2 --heavy 2 --slices 4 --workers 1 2")

    assert large["name"] == "de-identified larger series a minute, 2 / 1 lanes"
    assert (whole["name"], whole["asked"]) == ("jobs a minute, 2 / 1 lanes", "at least 1.7")
    assert len(runs) == 2
    assert all(row["ours"] > 0 and row["theirs"] > 0 for row in (large, whole, *runs))


def test_contours_are_measured_beside_plastimatch_and_memory_over_pairs() -> None:
    words = "--structures 2 --slices 12 --size 64 --pairs 2 --json".split()
    done = subprocess.run(
        [sys.executable, str(BENCH.with_name("qa.py")), *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(BENCH.parents[1])},
        check=False,  # of so few, no ratio is judged
    )
    *beside, memory = json.loads(done.stdout)

    assert memory["name"] == "memory, 2 / 1 pairs"
    assert memory["met"]
    for row in beside:
        assert row["asked"].startswith("not installed") if row["ratio"] is None else row["ratio"]


@pytest.fixture(scope="module")
def every() -> Any:
    """Return bench/all.py as a module."""
    sys.path.insert(0, str(BENCH.parent))
    spec = importlib.util.spec_from_file_location("bench_all", BENCH.with_name("all.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.__dict__["beside"] = sys.modules["measure"].__dict__["beside"]
    sys.path.remove(str(BENCH.parent))
    return module


def row(every: Any, name: str, ratio: float, **facts: Any) -> dict[str, Any]:
    whole: dict[str, Any] = asdict(every.Row(name=name, ratio=ratio, ours=ratio, theirs=1.0))
    return whole | facts


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
    found = every.figures("x", [row(every, "one", now, faster=faster)])

    told = list(every.regressions(found, {"x: one": before, "x: another": 1.0}))

    assert len(told) == worse


def test_what_a_bench_asks_for_and_does_not_get_is_told_without_a_reference(every: Any) -> None:
    asked = row(every, "one", 2.0, asked="at most 1.5", met=False)

    (told,) = every.regressions(every.figures("x", [asked]), {})

    assert told == "x: one: 2.00, asked: at most 1.5"


def test_what_could_not_be_measured_here_is_left_out(every: Any) -> None:
    missing = asdict(every.Row(name="a tool", asked="not installed: a tool"))

    found = every.figures("x", [missing, row(every, "one", 1.0)])

    assert [one.key for one in found] == ["x: one"]


def test_medians_and_their_spread_are_told(every: Any) -> None:
    one = every.beside("one", [(1.0, 2.0), (3.0, 2.0), (9.0, 3.0)], target=1.4)
    fast = every.beside("two", [(1.0, 2.0), (3.0, 2.0), (9.0, 3.0)], target=0.6, faster=True)

    assert (one.ours, one.theirs, one.ratio, one.least, one.most) == (3, 2, 1.5, 0.5, 3)
    assert (one.asked, one.met) == ("at most 1.4", False)
    assert (fast.ratio, fast.asked, fast.met) == (pytest.approx(2 / 3), "at least 0.6", True)
    assert "| x | one | 3 s | 2 s | 1.50 | 0.50 - 3.00 | at most 1.4 **not met** |" in every.page(
        [every.Figure("x", one)], "a machine"
    )


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (2.0, "s", "2 s"),
        (0.0125, "s", "12.5 ms"),
        (8e-6, "s", "8 us"),
        (0.0, "s", "0 us"),
        (12.0, "MiB", "12 MiB"),
        (2048.0, "MiB", "2,048 MiB"),
        (None, "s", ""),
    ],
)
def test_figures_for_people(every: Any, value: float | None, unit: str, said: str) -> None:
    assert every.amount(value, unit) == said


def test_what_is_measured_at_several_sizes_is_a_curve(every: Any) -> None:
    rows = [
        row(every, f"{size}", ratio, curve="ledger", size=size)
        for size, ratio in ((10, 1.0), (100, 1.2))
    ]

    drawn = ET.fromstring(every.growth(every.figures("x", rows), "a machine"))  # noqa: S314

    assert len(drawn.findall("{*}circle")) == 2
    assert len(drawn.findall("{*}polyline")) == 1
    assert {"ledger", "10", "100"} <= {text.text for text in drawn.findall("{*}text")}


def test_a_ratio_of_0_has_no_bar_in_powers_of_ten_and_is_drawn(every: Any) -> None:
    rows = [row(every, "memory", 0.0), row(every, "time", 2.0)]

    drawn = ET.fromstring(every.bars(every.figures("x", rows), "a machine"))  # noqa: S314

    assert {"x: memory", "x: time"} <= {text.text for text in drawn.findall("{*}text")}


def test_every_bench_is_run_by_all(every: Any) -> None:
    scripts = {path.stem for path in BENCH.parent.glob("*.py")}

    assert set(every.BENCHES) == scripts - {"all", "measure", "qa_judges", "scale_model", "stores"}
    assert set(every.SMALL) <= set(every.BENCHES)


@pytest.mark.parametrize(
    "only",
    [["rules"], pytest.param([], marks=pytest.mark.skipif(not LONG, reason="make torture"))],
    ids=["one", "all"],
)
def test_one_command_writes_table_plot_and_figures(tmp_path: Path, only: list[str]) -> None:
    out = printed("all.py", f"--small --out {tmp_path} {'--only' if only else ''} {' '.join(only)}")

    figures = json.loads((tmp_path / "bench-reference.json").read_text())["figures"]
    assert figures
    for one in figures:
        assert (
            f"| {one['bench']} | {one['name']} |" in (tmp_path / "bench-reference.md").read_text()
        )
        assert one["name"] in out
    drawn = ET.fromstring((tmp_path / "bench-reference.svg").read_text())  # noqa: S314 - our own
    assert len(drawn.findall("{*}rect")) == len(figures) + 1  # and the ground
