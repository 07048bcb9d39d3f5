"""init --monitoring: files for Prometheus and Grafana that ask for what drawcli measures."""

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

import drawcli as package
from drawcli.adapters.state.qa_summary import write_summary
from drawcli.adapters.state.receive_state import ReceiveState, write_state
from drawcli.adapters.state.run_log import ANSWERED, Run, RunLog
from drawcli.core.dicom_service.tally import Tally
from drawcli.core.group.site_summary import SiteSummary
from drawcli.core.jobs.job import Event, EventKind, Job, State
from drawcli.core.qa.summary import VersionChange
from drawcli.errors import NeedsPerson, TryLater
from drawcli.operations.cluster.metrics import cluster_gauges, group_gauges
from drawcli.operations.group.sites import GroupSiteState
from drawcli.operations.metrics import metrics_text, text_of
from drawcli.pipeline.context import Context
from tests.cli.conftest import Run as Drawcli
from tests.conftest import NOON, Site
from tests.operations.qa.summaries import chart_of, summary_with

FILES = Path(package.__file__).parent / "data" / "monitoring"
DASHBOARD = FILES / "grafana-dashboard.json"
RULES = FILES / "prometheus-rules.yml"
ROOT = Path(__file__).parents[2]
CLUSTER = {
    "hosts": [{"host": "one", "silent_seconds": 4.0, "leases": 2}],
    "queues": [{"queue": "upload", "waiting": 3, "running": 1, "oldest_seconds": 60.0}],
    "waits": [{"server": "https://draw.example/", "until": NOON}],
}
GROUP = [GroupSiteState("north", SiteSummary(NOON, "well"), "well", "")]
KEYS = {"alert", "expr", "for", "labels", "annotations"}


@pytest.fixture
def exposition(ctx: Context) -> str:
    """What a site with something of everything exposes."""
    reached = (State.FOUND, State.MATCHED, State.UPLOADED, State.DELIVERED, State.DONE)
    events = tuple(Event(NOON, EventKind.REACHED, state) for state in reached)
    job = Job(id="aaaaaaaaaaaa-1", state=State.DONE, since=NOON, zip_bytes=1, events=events)
    waits = replace(job, id="bbbbbbbbbbbb-1", state=State.MATCHED, events=())
    held = replace(waits, id="cccccccccccc-1").held_for(NeedsPerson("x", code="y"), at=NOON)
    ctx.ledger.add(job, waits.failed(TryLater("x", code="io"), at=NOON, until=NOON), held)
    began = NOON - timedelta(minutes=1)
    RunLog(ctx.settings.state_dir).add(
        Run(id="0badcafe", began=began, ended=NOON, exit_code=0, server=ANSWERED)
    )
    change = VersionChange(at=NOON, template="Breast", kind="drawcli", text="")
    write_summary(
        ctx.settings.state_dir,
        summary_with(chart_of(), oldest_unpaired=NOON, changes=(change,)),
    )
    tally = Tally(refused=Counter({"mismatch": 1}), last_stored=NOON.timestamp())
    write_state(ctx.settings.state_dir, ReceiveState("", "", tls=False, since=0.0, tally=tally))
    receives = ctx.settings.receive.replace(folder=ctx.settings.datastore[0])
    text = metrics_text(replace(ctx, settings=ctx.settings.replace(receive=receives)))
    return text + text_of([*cluster_gauges(CLUSTER), *group_gauges(GROUP, NOON)])


def samples(exposition: str) -> Iterator[tuple[str, dict[str, str]]]:
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            yield sample.name, dict(sample.labels)


def metrics_in(text: str) -> set[str]:
    return set(re.findall(r"\bdrawcli_[a-z0-9_]+\b", text))


def rules() -> list[dict[str, Any]]:
    return [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def expressions() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel.get("targets", ())]


def test_the_files_are_written_once_and_never_over_those_of_the_site(
    drawcli: Drawcli, site: Site
) -> None:
    dry = drawcli("init", "--monitoring", "watch", "--dry-run")
    there_after_dry = (site.folder / "watch").exists()
    first = drawcli("init", "--monitoring", "watch")
    (site.folder / "watch" / RULES.name).write_text("ours")
    (site.folder / "watch" / "README.md").unlink()
    second = drawcli("init", "--monitoring", "watch", "--json").answer["data"]

    assert (dry.code, there_after_dry) == (0, False)
    assert first.out.count("made  ") == 3
    assert (site.folder / "watch" / DASHBOARD.name).read_bytes() == DASHBOARD.read_bytes()
    assert (site.folder / "watch" / RULES.name).read_text() == "ours"
    assert [Path(path).name for path in second["made"]] == ["README.md"]


def test_monitoring_goes_with_no_other_option_and_needs_a_folder(
    drawcli: Drawcli, site: Site
) -> None:
    with_cron = drawcli("init", "--monitoring", "watch", "--cron")
    a_file = drawcli("init", "--monitoring", site.config.name)

    assert (with_cron.code, a_file.code) == (2, 2)
    assert "drawcli.yaml is not a folder" in a_file.err


@pytest.mark.parametrize("path", sorted(FILES.iterdir()), ids=lambda path: path.name)
def test_each_metric_that_a_file_names_is_exposed(exposition: str, path: Path) -> None:
    exposed = {name for name, _ in samples(exposition)}

    assert metrics_in(path.read_text()) - exposed - {"drawcli_qa_"} == set()


def test_each_metric_is_documented_and_shown_by_dashboard_or_rules(exposition: str) -> None:
    exposed = {name for name, _ in samples(exposition)}
    documented = metrics_in((ROOT / "docs" / "alarms.md").read_text())
    used = metrics_in(DASHBOARD.read_text()) | metrics_in(RULES.read_text())

    assert exposed - documented == set()
    assert exposed - used == {
        "drawcli_archived_jobs",
        "drawcli_group_site_open",
        "drawcli_queue_running",
        "drawcli_server_wait_until_seconds",
        "drawcli_disclosures",
        "drawcli_last_run_seconds",
        "drawcli_last_success_timestamp_seconds",
        "drawcli_qa_charts_timestamp_seconds",
        "drawcli_receive_associations",
        "drawcli_receive_refused",
        "drawcli_received_again",
        "drawcli_received_bytes",
        "drawcli_received_objects",
        "drawcli_received_timestamp_seconds",
        "drawcli_server_answered_timestamp_seconds",
        "drawcli_step_p90_seconds",
    }


def test_each_label_in_rules_and_panels_is_one_that_the_metric_has(exposition: str) -> None:
    labels: dict[str, set[str]] = {}
    for name, found in samples(exposition):
        labels.setdefault(name, {"instance"}).update(found)
    asked = [
        (name, label)
        for text in (*expressions(), *(rule["expr"] for rule in rules()))
        for name, selector in re.findall(r"(drawcli_\w+)\{([^}]*)\}", text)
        for label in re.findall(r"(\w+)=", selector)
    ]

    assert asked
    assert [(name, label) for name, label in asked if label not in labels[name]] == []


def test_texts_of_rules_use_labels_that_the_metric_has(exposition: str) -> None:
    labels = dict(samples(exposition))
    for rule in rules():
        used = re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"]))
        (first, *_) = metrics_in(rule["expr"])
        assert set(used) <= set(labels[first]), rule["alert"]


def test_the_rules_have_the_form_of_prometheus() -> None:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    names = [rule["alert"] for rule in rules()]

    assert len({group["name"] for group in groups}) == len(groups)
    assert all(set(group) == {"name", "rules"} for group in groups)
    assert len(set(names)) == len(names)
    for rule in rules():
        assert re.fullmatch("Draw[A-Za-z]+", rule["alert"])
        assert set(rule) <= KEYS
        assert isinstance(rule["expr"], str)
        assert re.fullmatch(r"\d+[smhd]", rule.get("for", "1s"))
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(rule["annotations"]) == {"summary", "description"}


def test_the_dashboard_is_loaded_with_any_data_source_and_its_panels_do_not_overlap() -> None:
    board = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in panels()]
    places = [
        (x, y)
        for panel in panels()
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    sources = {json.dumps(panel["datasource"]) for panel in panels() if panel["type"] != "row"}
    variables = {variable["name"] for variable in board["templating"]["list"]}

    assert board["uid"] == "drawcli"
    assert "id" not in board  # Grafana gives it
    assert len(set(ids)) == len(ids)
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) < 24
    assert sources == {json.dumps({"type": "prometheus", "uid": "${datasource}"})}
    assert set(re.findall(r"\$\{?(\w+)", "".join(expressions()))) <= variables
    for panel in panels():
        letters = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(letters)) == len(letters)


@pytest.mark.sweep
@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")
def test_promtool_accepts_rules_and_expressions_of_the_dashboard(
    tmp_path: Path, exposition: str
) -> None:
    plain = [re.sub(r"\$\w+", ".*", text) for text in expressions()]
    records = [{"record": f"test:{n}", "expr": text} for n, text in enumerate(plain)]
    as_rules = tmp_path / "dashboard.yml"
    as_rules.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": records}]}))

    promtool("check", "rules", str(RULES), str(as_rules))
    promtool("check", "metrics", "--extended", given=exposition)


CHART = 'drawcli_qa_state{template="T",roi="R",metric="dice"}'


@pytest.mark.sweep
@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")
@pytest.mark.parametrize(
    ("alert", "series", "values", "at"),
    [
        ("ContoursInvestigate", CHART, ("3x20", "2x20"), "1m"),
        ("ContoursWatch", CHART, ("2x200", "1x200"), "170h"),
        ("ContoursWatch", CHART, ("2x200", "2x90 1 2x90"), "170h"),
        ("PairsFail", 'drawcli_qa_pairs{status="failed"}', ("0x10 2x60", "2x70"), "60m"),
        ("RunsFail", "drawcli_last_run_exit_code", ("5x60", "6x60"), "40m"),
        ("JobsHeld", "drawcli_held", ("1x60", "0x60"), "40m"),
        ("GateBlocked", 'drawcli_held_jobs{code="privacy-gate"}', ("1x60", "0x60"), "1m"),
        ("DoesNotRun", "drawcli_last_run_timestamp_seconds", ("0x90", "3000x90"), "80m"),
        ("NoMetrics", "drawcli_other", ("0x90", "0x50"), "80m"),
    ],
)
def test_alerts_fire_on_what_they_are_for_and_not_else(
    tmp_path: Path, alert: str, series: str, values: tuple[str, str], at: str
) -> None:
    info = [] if alert == "NoMetrics" else [{"series": "drawcli_info", "values": "1x200"}]
    well = info or [{"series": "drawcli_info", "values": "1x200"}]
    firing = f'count(ALERTS{{alertname="Drawcli{alert}",alertstate="firing"}}) or vector(0)'

    for numbers, others, count in zip(values, (info, well), (1, 0), strict=True):
        check = {"expr": firing, "eval_time": at, "exp_samples": [{"labels": "{}", "value": count}]}
        given = [{"series": series, "values": numbers}, *others]
        interval = f"1{at[-1]}"
        test = {"interval": interval, "input_series": given, "promql_expr_test": [check]}
        text = {"rule_files": [str(RULES)], "evaluation_interval": interval, "tests": [test]}
        path = tmp_path / "test.yml"
        path.write_text(yaml.safe_dump(text))
        promtool("test", "rules", str(path))


def promtool(*words: str, given: str = "") -> None:
    ended = subprocess.run(
        ["promtool", *words], input=given, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
