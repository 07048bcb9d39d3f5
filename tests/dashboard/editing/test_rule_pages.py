"""Rules are changed on the page: shown as a diff, tried, saved; nothing is overwritten or lost."""

import json
import re
from html import unescape
from itertools import pairwise
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from drawcli.core.jobs.job import Job, State
from drawcli.pipeline.runner import Selection, run_step
from drawcli.system.limits import PAGE_EDIT_BYTES, PAGE_FORM_BYTES
from drawcli.system.yaml_read import read_yaml
from tests.conftest import PELVIS, Clock, Site, opened
from tests.dashboard.conftest import WORDS, Serve, log_in
from tests.dashboard.editing.conftest import RULES
from tests.dashboard.forms import form_in, submitted
from tests.fake_draw import FakeDraw
from tests.waiting import wait_until

FORM, TEXT, ORDER = "/edit/rules/form", "/edit/rules/text", "/edit/rules/order"


BOMB = "- name: a\n  when: always\n  comment: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"  k{n}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for n, (a, b) in enumerate(pairwise("abcdefg"))
)


def trial_in(page: str) -> str:
    """Return the address of the trial of a page."""
    found = re.search(r'data-trial="([^"]*)"', page)
    assert found is not None, page
    return found[1]


def diff_in(page: str) -> list[str]:
    """Return the lines of the diff of a page that are new or gone."""
    found = re.search(r'<pre class="diff"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert found is not None, page
    lines = unescape(re.sub(r"<[^>]*>", "", found[1])).split("\n")
    return [line for line in lines if line.startswith(("+", "-"))]


def test_who_may_not_edit_sees_no_button_and_no_form(serve: Serve, rules: Path) -> None:
    client = serve(password=WORDS, allow_actions=True)
    log_in(client)

    assert "/edit/" not in client.get("/rules").text
    for address in (
        "/edit/rules/new",
        "/edit/rules/1",
        "/edit/rules/1/text",
        "/edit/rules/trials/x",
    ):
        assert client.get(address).status_code == 403, address
    token = form_in(client.get("/").text, "/logout")["csrf"]
    for address in (FORM, TEXT, ORDER, "/edit/rules/stop"):
        assert client.post(address, data={"csrf": token}).status_code == 403, address
    assert rules.read_text(encoding="utf-8") == RULES


def test_a_rule_is_written_from_a_header_and_the_next_run_matches(  # noqa: PLR0913, PLR0917
    editor: TestClient, unmatched: Job, rules: Path, site: Site, draw: FakeDraw, clock: Clock
) -> None:
    assert unmatched.state is State.UNMATCHED
    assert f'href="/edit/rules/new?job={unmatched.id}"' in editor.get("/unmatched").text
    page = editor.get(f"/edit/rules/new?job={unmatched.id}").text
    fields = form_in(page, FORM)
    assert fields["w.0.e"] == "Modality"
    assert fields["w.0.v"] == "CT"
    assert "PatientName" not in page

    shown = submitted(editor, page, FORM, "preview", name="new-pelvis", template="Prostate_OAR")
    assert shown.status_code == 200
    assert rules.read_text(encoding="utf-8") == RULES
    added = diff_in(shown.text)
    assert "+  - name: new-pelvis" in added
    assert "+  - name: 'new-pelvis: the series it was written from'" in added
    assert not [line for line in added if line.startswith("-")]

    trial = trial_in(shown.text)
    wait_until(lambda: "data-runs" not in editor.get(trial).text)
    effect = editor.get(trial).text
    assert "1 of 1 series would be decided differently" in effect
    assert unmatched.id in effect

    saved = submitted(editor, shown.text, FORM, "save")
    assert (saved.status_code, saved.headers["location"]) == (303, "/rules?saved=yes")
    assert "Saved. The next run uses it." in editor.get(saved.headers["location"]).text
    assert rules.read_text(encoding="utf-8").startswith(RULES.partition("tests:")[0])
    with opened(site, draw, clock) as later:
        run_step("match", later, Selection())
        (job,) = later.ledger.jobs()
    assert (job.state, job.rule) == (State.MATCHED, "new-pelvis")


def test_elements_that_identify_are_not_offered_even_to_who_sees_patients(
    serve: Serve, unmatched: Job
) -> None:
    client = serve(password=WORDS, allow_editing=True, identify=True)
    log_in(client)

    page = client.get(f"/edit/rules/new?job={unmatched.id}").text

    offered = set(re.findall(r'value="use:([^"]*)"', page))
    assert "ProtocolName" in offered
    identifying = ("PatientName", "PatientID", "PatientBirth", "Study", "Accession", "Referring")
    assert not {path for path in offered if path.startswith(identifying)}
    assert PELVIS.name not in page
    use = form_in(page, FORM) | {"step": "use:PatientID"}
    assert "PatientID" not in form_in(client.post(FORM, data=use).text, FORM).values()


def test_buttons_change_the_conditions_without_a_script(editor: TestClient) -> None:
    page = editor.get("/edit/rules/1").text
    page = submitted(editor, page, FORM, "group:w").text
    page = submitted(
        editor,
        page,
        FORM,
        "add:w.2",
        **{"w.2.0.e": "slices", "w.2.0.o": "at_least", "w.2.0.v": "40"},
    ).text
    page = submitted(
        editor, page, FORM, "remove:w.0", **{"w.2.1.e": "contrast", "w.2.1.v": "true"}
    ).text

    shown = submitted(editor, page, FORM, "preview")

    assert diff_in(shown.text) == [
        "-        - Modality: CT",
        "+        - any:",
        "+            - slices: {at_least: 40}",
        "+            - contrast: true",
    ]


def test_only_what_is_changed_is_written_anew(editor: TestClient) -> None:
    page = editor.get("/edit/rules/1").text

    shown = submitted(editor, page, FORM, "preview", **{"w.1.v": "pelvis", "priority": "5"})

    assert diff_in(shown.text) == [
        "+    priority: 5",
        "-        - ProtocolName: {contains: nowhere}  # 5 of 9 series known when this was written",
        "+        - ProtocolName: {contains: pelvis}",
    ]


def test_errors_stand_beside_the_fields_and_what_was_typed_stays(editor: TestClient) -> None:
    page = editor.get("/edit/rules/1").text

    again = submitted(
        editor,
        page,
        FORM,
        "preview",
        **{"name": "head", "priority": "high", "w.0.e": "Modalty", "w.1.o": "at_least"},
    )

    assert again.status_code == 422
    assert "Another rule has this name." in again.text
    assert "A whole number" in again.text
    assert "No DICOM keyword &#39;Modalty&#39;; did you mean &#39;Modality&#39;?" in again.text
    assert "holds a text, which has no order" in again.text
    fields = form_in(again.text, FORM)
    assert (fields["name"], fields["w.0.e"]) == ("head", "Modalty")


def test_a_rule_on_a_patient_is_warned_about(serve: Serve, rules: Path) -> None:
    assert rules.exists()
    sees = serve(password=WORDS, allow_editing=True, identify=True)
    log_in(sees)
    page = sees.get("/edit/rules/1").text
    page = submitted(
        sees, page, FORM, "preview", **{"w.1.e": "PatientID", "w.1.o": "equals", "w.1.v": "X17"}
    ).text

    assert "rule pelvis names one patient or study by PatientID" in page
    assert "PatientID names one patient or study" in submitted(sees, page, FORM, "edit").text


@pytest.mark.parametrize("element", ["PatientName", "PatientBirthDate", "folder", "(0019,10,AB)"])
@pytest.mark.parametrize("step", ["try", "preview", "save"])
def test_who_may_not_see_patients_cannot_ask_the_rules_for_them(
    editor: TestClient, rules: Path, unmatched: Job, element: str, step: str
) -> None:
    """The effect of a condition on known series would tell a name letter by letter."""
    assert unmatched.id
    page = editor.get("/edit/rules/1").text
    operator, value = ("after", "19500101") if "Date" in element else ("starts_with", "T")
    asked = {"w.1.e": element, "w.1.o": operator, "w.1.v": value}

    answer = submitted(editor, page, FORM, step, **asked)

    assert "may identify a patient" in answer.text
    assert "/edit/rules/trials/" not in answer.text
    assert rules.read_text(encoding="utf-8") == RULES
    texts = form_in(editor.get("/edit/rules/1/text").text, TEXT)
    wanted = json.dumps({element: {operator: value}})
    texts["text"] = texts["text"].replace("Modality: CT", wanted.strip("{}") + "}")
    assert "may identify a patient" in editor.post(TEXT, data=texts | {"step": step}).text
    present = {"w.1.e": element, "w.1.o": "exists", "w.1.v": "true"}
    assert "may identify" not in submitted(editor, page, FORM, "preview", **present).text


@pytest.mark.parametrize("name", ["head\u200b", "\u202edaeh", "a\x1b[31m", "a\0b"])
def test_a_rule_has_no_name_that_looks_like_another(editor: TestClient, name: str) -> None:
    page = editor.get("/edit/rules/1").text
    again = submitted(editor, page, FORM, "preview", name=name)
    assert "It has characters that cannot be seen." in again.text


@pytest.mark.parametrize("place", ["w." + "9" * 5000, "w.²", "w.-1"])
def test_the_number_of_a_condition_may_be_anything(editor: TestClient, place: str) -> None:
    page = editor.get("/edit/rules/1").text
    assert submitted(editor, page, FORM, "edit", **{f"{place}.e": "Modality"}).status_code == 200


def test_the_text_of_a_rule_keeps_its_comments(editor: TestClient, rules: Path) -> None:
    page = editor.get("/edit/rules/1/text").text
    text = form_in(page, TEXT)["text"]
    assert text.startswith("# agreed in May\n- name: pelvis   # all of them\n")

    new = text.replace("agreed in May", "agreed in June").replace("nowhere", "pelvis")
    shown = submitted(editor, page, TEXT, "preview", text=new.replace("\n", "\r\n"))
    saved = submitted(editor, shown.text, TEXT, "save")

    assert saved.status_code == 303
    changed = RULES.replace("agreed in May", "agreed in June").replace("nowhere", "pelvis")
    assert rules.read_text(encoding="utf-8") == changed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- name: a\n- name: b\n", "this is not one rule"),
        ("rules: []\n", "this is not one rule"),
        ("- name: !!python/object/apply:os.system [true]\n", "begins with &#39;!&#39;"),
        ("- &x\n  name: *x\n", "refers to a value that contains it"),
        ("- name: *other\n", "begins with &#39;*&#39;"),
        (
            "- name: a\n  template: Nothing_OAR\n  when: always\n",
            "no template &#39;Nothing_OAR&#39;",
        ),
        ("- name: a\n  template: /etc/passwd\n  when: always\n", "no template"),
        ("- name: a\n  template: Prostate_OAR\n  when: {Modality: {matches: '(('}}\n", "a pattern"),
        ("- name: head\n  template: Prostate_OAR\n  when: always\n", "another rule has the name"),
        ("- name: a\n  tests: []\n", "unknown key"),
        ("- [" + "[" * 3000, "this rule: nested too deep"),
        (
            (
                "- name: a\n  template: Prostate_OAR\n"
                f"  when: {'{not: ' * 420}{{Modality: CT}}{'}' * 420}\n"
            ),
            "nested too deep",
        ),
        ("#" * 33_000, "characters"),
        (BOMB, "values with aliases expanded"),
    ],
)
def test_what_the_commands_refuse_is_refused_with_what_was_typed(
    editor: TestClient, rules: Path, text: str, words: str
) -> None:
    page = editor.get("/edit/rules/1/text").text

    for step in ("preview", "save"):
        again = submitted(editor, page, TEXT, step, text=text)
        assert again.status_code == 422
        assert words in again.text, again.text.partition("problems")[2][:600]
        assert form_in(again.text, TEXT)["text"].rstrip("\n") == text.rstrip("\n")
    assert rules.read_text(encoding="utf-8") == RULES


def test_a_form_has_a_largest_size(editor: TestClient) -> None:
    page = editor.get("/edit/rules/1/text").text

    fits = submitted(editor, page, TEXT, "preview", text="#" * (PAGE_FORM_BYTES * 2))
    large = submitted(editor, page, TEXT, "preview", text="#" * PAGE_EDIT_BYTES)

    assert (fits.status_code, large.status_code) == (422, 413)


@pytest.mark.parametrize(
    ("op", "number", "changed"),
    [
        ("up", 1, ["+  - name: head", "-  - name: head"]),
        ("disable", 0, ["+    enabled: false"]),
        ("delete", 1, ["-  - name: head"]),
    ],
)
def test_rules_are_moved_switched_and_deleted(
    editor: TestClient, rules: Path, op: str, number: int, changed: list[str]
) -> None:
    name = ["pelvis", "head"][number]
    fields = form_in(editor.get("/rules").text, ORDER) | {"number": number, "was": name, "op": op}
    shown = editor.post(ORDER, data=fields)
    lines = diff_in(shown.text)
    assert set(changed) <= set(lines)

    form = form_in(shown.text, ORDER) | {"step": "save", "anyway": "yes"}
    saved = editor.post(ORDER, data=form)

    assert saved.status_code == 303
    names = [rule["name"] for rule in read_yaml(rules).data["rules"]]
    wanted = {"up": ["head", "pelvis"], "disable": ["pelvis", "head"], "delete": ["pelvis"]}
    assert names == wanted[op]


def test_a_test_that_fails_is_shown_and_asks_for_a_tick(editor: TestClient, rules: Path) -> None:
    fields = form_in(editor.get("/rules").text, ORDER) | {
        "number": 1,
        "was": "head",
        "op": "disable",
    }
    shown = editor.post(ORDER, data=fields)
    assert "1 of 1 tests of the file fails" in shown.text

    refused = submitted(editor, shown.text, ORDER, "save")
    assert "Not saved: tick the box above" in refused.text
    assert rules.read_text(encoding="utf-8") == RULES

    assert submitted(editor, refused.text, ORDER, "save", anyway="yes").status_code == 303


def test_a_rule_with_patient_values_is_not_shown_without_identify(
    serve: Serve, editor: TestClient, rules: Path
) -> None:
    rules.write_text(
        RULES.replace("nowhere}", "pelvis}\n        - PatientID: X17-4"), encoding="utf-8"
    )

    for address in ("/edit/rules/1", "/edit/rules/1/text"):
        assert editor.get(address).status_code == 403
        assert "X17-4" not in editor.get(address).text
    fields = form_in(editor.get("/rules").text, ORDER) | {
        "number": 0,
        "was": "pelvis",
        "op": "delete",
    }
    for address in (FORM, TEXT):  # whether a guess is the value
        guess = {"text": "- name: pelvis", "w.kind": "all", "w.0.e": "PatientID", "w.0.v": "X17-4"}
        assert editor.post(address, data=fields | guess | {"step": "preview"}).status_code == 403
    shown = editor.post(ORDER, data=fields).text
    assert any(line.startswith("-        - PatientID: (hidden)") for line in diff_in(shown))
    assert "X17-4" not in shown

    sees = serve(password=WORDS, allow_editing=True, identify=True)
    log_in(sees)
    assert "X17-4" in sees.get("/edit/rules/1").text


def test_what_cannot_be_tried_is_counted(
    editor: TestClient, unmatched: Job, pelvis: list[Path]
) -> None:
    for path in pelvis:
        path.unlink()
    assert unmatched.id
    page = submitted(editor, editor.get("/edit/rules/1").text, FORM, "preview", priority="3").text

    trial = trial_in(page)
    wait_until(lambda: "data-runs" not in editor.get(trial).text)

    assert "Not tried: 1 series; the images of 1 can no longer be read" in " ".join(
        editor.get(trial).text.split()
    )


def test_the_form_is_tried_while_it_is_filled_in(editor: TestClient, unmatched: Job) -> None:
    page = editor.get("/edit/rules/1").text

    unready = submitted(editor, page, FORM, "try", name="")
    ready = submitted(editor, page, FORM, "try", **{"w.1.v": "pelvis"})

    assert "when all fields are filled in" in unready.text
    trial = trial_in(ready.text)
    wait_until(lambda: "data-runs" not in editor.get(trial).text)
    assert "1 of 1 series would be decided differently" in editor.get(trial).text
    assert unmatched.id in editor.get(trial).text


def test_an_invalid_file_is_repaired_as_text(editor: TestClient, rules: Path) -> None:
    rules.write_text(RULES.replace("HeadNeck_OAR\n    when", "Hed_OAR\n    when"), encoding="utf-8")

    page = editor.get("/rules").text
    assert "no template" in page
    assert 'href="/edit/rules/2/text"' in page
    page = editor.get("/edit/rules/2/text").text
    new = form_in(page, TEXT)["text"].replace("Hed_OAR", "HeadNeck_OAR")
    shown = submitted(editor, page, TEXT, "preview", text=new)
    assert submitted(editor, shown.text, TEXT, "save").status_code == 303
    assert rules.read_text(encoding="utf-8") == RULES
