from dataclasses import replace

from drawcli.sandbox.page import page
from drawcli.sandbox.tasks import Status, Task

TASK = Task(
    task_id="abc",
    zip_name="site_1.2.zip",
    sha256="0" * 64,
    size=2_500_000,
    client_id="site",
    received="2026-11-22T08:30:01.5+00:00",
)
BANNER = "DEMONSTRATION AND TRAINING - NOT FOR CLINICAL USE"


def test_the_banner_stands_on_the_page_with_tasks_and_without() -> None:
    assert BANNER in page([])
    assert BANNER in page([TASK])


def test_a_task_is_shown_with_its_status_and_what_was_asked() -> None:
    html = page([replace(TASK, status=Status.COMPLETED, structures=("Bladder", "Body"))])

    for text in ("2026-11-22 08:30:01", "SEGMENTATION COMPLETED", "2.5 MB", "Bladder, Body"):
        assert text in html


def test_the_newest_task_comes_first() -> None:
    html = page([TASK, replace(TASK, task_id="later")])

    assert html.index("task later") < html.index("task abc")


def test_what_a_client_sent_is_text_not_html() -> None:
    html = page([replace(TASK, zip_name="<script>alert(1)</script>", error="<b>", template="<i>")])

    assert not any(tag in html for tag in ("<script", "<b>", "<i>"))


def test_the_page_loads_nothing_and_knows_dark_and_light() -> None:
    html = page([TASK])

    assert "http://" not in html
    assert "https://" not in html
    assert "color-scheme: light dark" in html
    assert 'http-equiv="refresh"' in html
