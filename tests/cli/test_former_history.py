"""What a former client did is kept without patients, and reported for the span it happened in."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from drawcli.adapters.state.former_client import read_history
from drawcli.errors import ConfigError
from tests.cli.conftest import Run
from tests.conftest import Site
from tests.former_export import record


def review(pk: str, day: str | None, rating: int, minutes: int | None, **edits: str) -> list[Any]:
    return [
        record(
            "rtstructurefileimport",
            pk,
            overall_rating=rating,
            date_contour_reviewed=day,
            contour_modification_time_required=minutes,
            assessor_name="Dr MUSTER",
            reidentified_rt_structure_file_path="/data/MUSTER/rs.dcm",
        ),
        *(
            record(
                "rtstructurefilevoidata",
                f"{pk}{name}",
                rt_structure_file_import=pk,
                volume_name=name,
                contour_modification=edit,
                contour_modification_comments="as MUSTER said",
            )
            for name, edit in edits.items()
        ),
    ]


STATISTIC = "series_completing_segmentation_since_last_run"
RECORDS = [
    record(
        "dicomseries",
        "a",
        series_instance_uid="1.2.3",
        series_processsing_status="RTSTRUCTURE_EXPORTED",
        updated_at="2021-11-10T10:00:00.123Z",
        series_root_path="/data/MUSTER",
    ),
    record(
        "dicomseries",
        "b",
        series_instance_uid="1.2.4",
        series_processsing_status="RTSTRUCTURE_EXPORTED",
        updated_at="2010-01-01T10:00:00Z",
    ),
    *review("r", "2021-11-11", 8, 12, Bladder="MINOR_MODIFICATION", Rectum="NO_MODIFICATION"),
    *review("s", "2021-11-12", 4, None, Bladder="MAJOR_MODIFICATION"),
    *review("t", None, 5, None, Bladder="NO_MODIFICATION"),  # nobody has reviewed it
    record(
        "statistics",
        1,
        parameter_name=STATISTIC,
        parameter_value="3",
        created_at="2021-11-10T00:00:00Z",
    ),
    record(
        "statistics",
        2,
        parameter_name=STATISTIC,
        parameter_value="4",
        created_at="2021-11-11T00:00:00Z",
    ),
    record(
        "statistics",
        3,
        parameter_name="average_s",
        parameter_value="10.5",
        created_at="2021-11-11T00:00:00Z",
    ),
    record(
        "statistics",
        4,
        parameter_name="average_s",
        parameter_value="nan",
        created_at="2021-11-11T00:00:00Z",
    ),
    record(
        "statistics",
        99,
        parameter_name=STATISTIC,
        parameter_value="1e300",  # no sum of such numbers is one
        created_at="2021-11-20T12:00:00Z",
    ),
    record("patient", 1, patient_name="MUSTER"),
]


@pytest.fixture
def imported(drawcli: Run, site: Site) -> Path:
    (site.folder / "history.json").write_text(json.dumps(RECORDS))
    told = drawcli("import-draw-client", "history.json", "--history")
    assert told.code == 0
    assert "delivered by the former client: 2" in told.out
    return site.state / "former-client.json"


def test_the_file_names_no_patient_and_no_member_of_staff(imported: Path) -> None:
    text = imported.read_text()

    assert "MUSTER" not in text
    assert "1.2.3" not in text
    assert imported.stat().st_mode & 0o077 == 0
    assert read_history(imported.parent).counts == {
        "series": {"delivered": 2},
        "ratings": 2,
        "statistics": 3,
    }


@pytest.mark.usefixtures("imported")
def test_the_report_counts_what_happened_in_its_span(drawcli: Run) -> None:
    told = drawcli("report", "--since", "2021-11-09", "--json")

    assert json.loads(told.out)["data"]["former"] == {
        "series": {"delivered": 1},
        "reviewed": 2,
        "rating_mean": 6.0,
        "editing_minutes_median": 12,
        "edits": {
            "Bladder": {"MINOR_MODIFICATION": 1, "MAJOR_MODIFICATION": 1},
            "Rectum": {"NO_MODIFICATION": 1},
        },
        "statistics": {STATISTIC: 7.0, "average_s": 10.5},
    }


@pytest.mark.usefixtures("imported")
def test_table_and_csv_hold_the_same_figures(drawcli: Run) -> None:
    told = drawcli("report", "--since", "2021-11-09")
    table = csv.DictReader(io.StringIO(drawcli("report", "--since", "2021-11-09", "--csv").out))

    assert "the former client" in told.out
    assert "Bladder: minor modification" in told.out
    values = {row["name"]: row["value"] for row in table if row["kind"] == "former client"}
    assert values["rating"] == "6.0"
    assert values[STATISTIC] == "7.0"


@pytest.mark.usefixtures("imported")
def test_the_page_has_them_too(drawcli: Run, site: Site) -> None:
    drawcli("report", "--since", "2021-11-09", "--html", "report.html")

    page = (site.folder / "report.html").read_text()
    assert "<h2>The former client</h2>" in page
    assert "<td>series completing segmentation</td><td>7</td><td>sum</td>" in page


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("series", {"key": {"0005": "delivered"}}),
        ("series", {"key": ["0005"]}),
        ("ratings", {"3": {"at": "2021-11-20", "structures": "Heart"}}),
        ("ratings", {"3": {"at": "2021-11-20", "overall": 10**400}}),
        ("statistics", {"5": {"name": "total", "value": "x"}}),
        ("statistics", {"5": {"name": "total", "value": float("nan")}}),
    ],
)
def test_a_history_of_other_types_is_an_error(imported: Path, name: str, part: Any) -> None:
    plain = json.loads(imported.read_text())
    imported.write_text(json.dumps(plain | {name: part}))

    with pytest.raises(ConfigError, match="cannot be read"):
        read_history(imported.parent)


def test_without_a_history_nothing_is_said_of_one(drawcli: Run) -> None:
    told = drawcli("report", "--json")

    assert json.loads(told.out)["data"]["former"] is None
    assert "former" not in drawcli("report").out
