"""The editor of a template without script: forms, the changed lines, the saved file."""

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from starlette.testclient import TestClient

from drawcli.adapters.server.catalogue_cache import save_catalogue
from drawcli.sandbox.catalogue import as_json
from tests.conftest import NOON, Site
from tests.dashboard.conftest import WORDS, Serve, log_in
from tests.dashboard.forms import form_in
from tests.dashboard.template_pages.conftest import Received
from tests.dashboard.template_pages.test_pages import words_of
from tests.dashboard.test_html import check_headings, check_names, read

if TYPE_CHECKING:
    from httpx2 import Response

PLACE = "/edit/templates"
PROSTATE = f"{PLACE}?template=Prostate_OAR"
pytestmark = pytest.mark.usefixtures("full", "catalogue")


@pytest.fixture
def file(site: Site) -> Path:
    return site.folder / "templates.yaml"


def send(client: TestClient, page: "Response | str", step: str, **typed: str) -> "Response":
    """Type into the form of a page, and press a button."""
    text = page if isinstance(page, str) else page.text
    changes = {name.replace("_", ".", 1): value for name, value in typed.items()}
    return client.post(PLACE, data=form_in(text, PLACE) | changes | {"step": step})


def test_a_template_that_nobody_changed_is_not_changed(editor: TestClient, file: Path) -> None:
    before = file.read_bytes()

    answer = send(editor, editor.get(PROSTATE), "preview")

    assert answer.status_code == 422
    assert "Nothing would change" in answer.text
    assert file.read_bytes() == before


def test_a_limit_is_shown_as_a_diff_then_saved_and_nothing_else(
    editor: TestClient, file: Path
) -> None:
    before = file.read_text()

    shown = send(editor, editor.get(PROSTATE), "preview", s0_high="1200")
    assert file.read_text() == before
    saved = send(editor, shown, "save")

    assert "volume_cm3: [20, 1200]" in shown.text
    assert saved.headers["location"] == "/templates/Prostate_OAR?saved=yes"
    assert file.read_text() == before.replace("[20, 1500]", "[20, 1200]")
    assert "is saved" in editor.get(saved.headers["location"]).text


def test_all_that_a_structure_can_have_is_written(editor: TestClient, file: Path) -> None:
    page = editor.get(PROSTATE)
    typed = {
        "s3_label": "FH_R",
        "s3_own": "yes",
        "s3_color": "#0102ff",
        "s3_type": "ORGAN",
        "s3_about": "right",
        "s3_presence": "needed",
        "s3_low": "3.5",
        "s3_high": "90",
        "s2_drop": "yes",
        "d1_hidden": "",
    }
    rows = send(editor, send(editor, page, "derived"), "empty")

    shown = send(
        editor,
        rows,
        "preview",
        **typed,
        d2_name="Both",
        d2_operation="union",
        d2_of="Bladder\r\nRectum\r\n",
        e1_name="GTV",
    )
    assert send(editor, shown, "save").status_code == 303

    found = yaml.safe_load(file.read_text())["templates"]["Prostate_OAR"]
    assert found["structures"]["Femur_Head_R"] == {
        "label": "FH_R",
        "color": [1, 2, 255],
        "type": "ORGAN",
        "description": "right",
        "volume_cm3": [3.5, 90],
        "required": True,
    }
    assert "Femur_Head_L" not in found["structures"]
    assert list(found["models"][720]["map"].values()) == ["Bladder", "Rectum", "Femur_Head_R"]
    assert found["derived"]["Both"] == {"union": ["Bladder", "Rectum"]}
    assert found["derived"]["Bladder_05"] == {"margin": "Bladder", "mm": 5}
    assert found["empty"]["GTV"] == {}
    assert "# agreed in March" in file.read_text()


def test_a_new_template_is_made_from_the_catalogue(editor: TestClient, file: Path) -> None:
    page = editor.get(PLACE)
    found = send(editor, page, "search", search="pelvis blad", name="My_Pelvis")
    added = send(editor, found, "add", pick_720="", **{"pick_720:1": "yes"})

    shown = send(editor, added, "preview", s0_high="900")
    saved = send(editor, shown, "save")

    assert "1 found" in words_of(found.text)
    assert "Bladder is in the template" in words_of(added.text)
    assert "no rule uses template My_Pelvis" in shown.text
    assert saved.headers["location"].startswith("/templates/My_Pelvis?saved=")
    template = yaml.safe_load(file.read_text())["templates"]["My_Pelvis"]
    assert template["models"][720]["map"] == {1: "Bladder"}
    assert template["structures"] == {"Bladder": {"volume_cm3": [0, 900]}}


def test_what_is_ticked_is_added_without_the_button_for_it(editor: TestClient) -> None:
    shown = send(editor, editor.get(PLACE), "preview", name="New", **{"pick_740:3": "yes"})

    assert "+          3: Heart" in shown.text


def test_ticks_stay_while_one_searches(editor: TestClient) -> None:
    ticked = send(editor, editor.get(PLACE), "search", search="lung", **{"pick_720:1": "yes"})

    assert form_in(ticked.text, PLACE)["pick.720:1"] == "yes"
    assert "Brain" not in words_of(ticked.text).partition("structure region model Dice")[2]


def test_of_models_that_draw_the_same_the_better_one_is_first(
    editor: TestClient, site: Site
) -> None:
    models = as_json()
    other = {**models[0], "model_id": 799, "model_name": "Better"}
    for model, dice in ((models[0], 0.81), (other, 0.945)):
        model["modelmap"] = [{**one, "median_dice_score": dice} for one in model["modelmap"]]
    save_catalogue(site.state, [*models, other], NOON)

    page = words_of(send(editor, editor.get(PLACE), "search", search="rectum").text)
    taken = send(editor, editor.get(PROSTATE), "add", **{"pick_799:2": "yes"})
    shown = send(editor, taken, "preview")

    offers = page.partition("structure region model Dice")[2]
    better, worse = offers.index("799 Better 0.94"), offers.index("720 TSPrime 0.81")
    assert better < worse
    assert "Rectum is drawn by model 720" in words_of(editor.get(PROSTATE).text)
    assert "two models draw the same structure: Rectum" in shown.text


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"s0_high": "much"}, "Bladder: &#39;much&#39; is not a number"),
        ({"s0_high": "", "s0_low": "3"}, "Bladder: the largest volume is missing"),
        ({"s0_low": "2000"}, "the smallest volume comes first, then the largest"),
        ({"s0_high": "inf"}, "volume_cm3"),
        ({"s0_type": "<i>"}, "Bladder: there is no type &lt;i&gt;"),
        ({"s0_own": "yes", "s0_color": "red"}, "Bladder: the colour is not one of"),
        ({"s0_key": "9999:1"}, "the server&#39;s catalogue has no structure 9999:1"),
        ({"d0_operation": "melt"}, "Rectum-PRV: choose what is to be done"),
        ({"d0_of": "Rectum\nBladder"}, "Rectum-PRV: crop takes one structure, not 2"),
        ({"d0_of": " "}, "Rectum-PRV: it is derived from no structure"),
        ({"d0_other": ""}, "crop needs either inside or outside"),
        ({"d1_name": "Rectum-PRV"}, "there are two structures &#39;Rectum-PRV&#39;"),
        ({"d1_of": "Nothing"}, "Nothing must be defined before it"),
        ({"e0_name": "Bladder"}, "a structure of that name exists already"),
        ({"s0_label": "Rectum_AI"}, "would have the same name"),
        ({"s0_label": "Blädder"}, "only ASCII characters"),
    ],
)
def test_errors_are_shown_and_what_was_typed_is_kept(
    editor: TestClient, file: Path, typed: dict[str, str], problem: str
) -> None:
    before = file.read_bytes()

    answer = send(editor, editor.get(PROSTATE), "preview", **typed)

    assert answer.status_code == 422
    assert problem in answer.text
    for name, value in typed.items():
        if name not in ("s0_type", "d0_operation", "s0_color"):
            assert form_in(answer.text, PLACE)[name.replace("_", ".", 1)].strip() == value.strip()
    assert file.read_bytes() == before


def test_a_name_that_is_in_use_or_could_not_be_a_folder_is_refused(editor: TestClient) -> None:
    added = send(editor, editor.get(PLACE), "add", **{"pick_720:1": "yes"})

    for name, problem in (
        ("Prostate_OAR", "there is already a template"),
        ("../x", "letters, digits"),
        ("", "letters, digits"),
    ):
        assert problem in send(editor, added, "preview", name=name).text


def test_two_users_change_one_template_and_both_changes_are_in_the_file(
    editor: TestClient, file: Path
) -> None:
    before = file.read_text()
    mine = editor.get(PROSTATE)
    theirs = send(editor, editor.get(PROSTATE), "preview", s1_high="150")
    send(editor, theirs, "save")

    refused = send(editor, mine, "preview", s0_high="1200")
    again = send(editor, refused, "preview")
    saved = send(editor, again, "save")

    assert refused.status_code == 409
    assert saved.status_code == 303
    wanted = before.replace("[20, 1500]", "[20, 1200]").replace("[25, 200]", "[25, 150]")
    assert file.read_text() == wanted


def test_a_file_that_an_editor_changed_before_the_save_is_not_overwritten(
    editor: TestClient, file: Path
) -> None:
    shown = send(editor, editor.get(PROSTATE), "preview", s0_high="1200")
    file.write_text(file.read_text() + "\n# by hand\n")

    answer = send(editor, shown, "save")

    assert answer.status_code == 409
    assert file.read_text().endswith("# by hand\n")
    assert "[20, 1500]" in file.read_text()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("Prostate_OAR:", "Pelvis_OAR:", "Prostate_OAR"),
        ("config: 3d_fullres", "confg: 3d_fullres", "confg"),
        ("templates:", "templates: [", "templates.yaml"),
    ],
)
def test_what_was_typed_survives_a_file_that_somebody_broke(
    editor: TestClient, file: Path, old: str, new: str, problem: str
) -> None:
    page = editor.get(PROSTATE)
    file.write_text(file.read_text().replace(old, new, 1))
    before = file.read_bytes()

    answer = send(editor, page, "preview", s0_high="1200")

    assert answer.status_code == 422
    assert problem in answer.text
    assert form_in(answer.text, PLACE)["s0.high"] == "1200"
    assert file.read_bytes() == before


def test_a_refusing_hook_is_reported_and_what_was_typed_stays(
    editor: TestClient, file: Path
) -> None:
    before = file.read_bytes()
    subprocess.run(["git", "-C", str(file.parent), "init", "-q"], check=True)
    hook = file.parent / ".git" / "hooks" / "pre-commit"
    hook.write_text("#!/bin/sh\necho 'no limits above 1000'\nexit 1\n")
    hook.chmod(0o755)
    shown = send(editor, editor.get(PROSTATE), "preview", s0_high="1200")

    answer = send(editor, shown, "save")

    assert "no limits above 1000" in answer.text
    assert form_in(answer.text, PLACE)["s0.high"] == "1200"
    assert file.read_bytes() == before


def test_the_saved_file_is_committed(editor: TestClient, file: Path) -> None:
    git = ["git", "-C", str(file.parent), "-c", "user.name=t", "-c", "user.email=t@t.example"]
    for words in (["init", "-q"], ["add", "templates.yaml"], ["commit", "-qm", "start"]):
        subprocess.run([*git, *words], check=True)

    send(editor, send(editor, editor.get(PROSTATE), "preview", s0_high="1200"), "save")

    said = subprocess.run([*git, "log", "-1", "--format=%s"], check=True, capture_output=True)
    assert said.stdout == b"Template Prostate_OAR\n"


def test_hints_and_recent_volumes_are_beside_the_fields(
    editor: TestClient, received: Received
) -> None:
    received("00000000000a-1", {"Bladder": 123.456})

    page = words_of(editor.get(PROSTATE).text)

    assert "Rectum_AI is not a TG-263 name; nearest Rectum" in page
    assert '<a href="/templates" aria-current="page">' in editor.get(PLACE).text
    assert "Recent volumes: 123 cm³, median 123 (of 1 structure set)" in page


def test_only_an_editor_sees_and_sends_the_form(serve: Serve) -> None:
    client = serve(password=WORDS, allow_actions=True, identify=True)
    log_in(client)
    csrf = client.get("/").text.partition('name="csrf" value="')[2].partition('"')[0]

    assert client.get(PROSTATE).status_code == 403
    assert client.post(PLACE, data={"csrf": csrf, "step": "save"}).status_code == 403
    assert PLACE not in client.get("/templates").text
    assert PLACE not in client.get("/templates/Prostate_OAR").text


def test_a_template_that_is_not_there_has_no_form(editor: TestClient) -> None:
    assert editor.get(f"{PLACE}?template=Nonsense").status_code == 404


def test_without_a_catalogue_the_page_says_how_to_get_it(editor: TestClient, site: Site) -> None:
    (site.state / "catalogue.json").unlink()

    page = editor.get(PLACE).text

    assert "There is no copy of it yet" in page
    assert "Fetch the catalogue" in page
    assert "Show the change" not in page


@pytest.mark.parametrize(
    "text",
    ["a: {b: c}", "x # y", "&a *a", "- x", "!!python/name:os.system", "'\"", "null", "{{1}}"],
)
def test_what_is_typed_is_a_value_and_nothing_else(
    editor: TestClient, file: Path, text: str
) -> None:
    before = yaml.safe_load(file.read_text())["templates"]

    shown = send(
        editor,
        editor.get(PROSTATE),
        "preview",
        description=f"{text}\n  evil:\r\n    models: {{}}",
        s0_label=text,
        s0_about=text,
        s0_key="720:1",
    )
    assert send(editor, shown, "save").status_code == 303

    after = yaml.safe_load(file.read_text())["templates"]
    assert after["Prostate_OAR"]["description"] == f"{text} evil: models: {{}}"
    assert after["Prostate_OAR"]["structures"]["Bladder"]["label"] == text
    assert {**after, "Prostate_OAR": 0} == {**before, "Prostate_OAR": 0}


def test_the_form_cannot_say_what_a_model_is(editor: TestClient, file: Path) -> None:
    added = send(editor, editor.get(PLACE), "add", name="New", **{"pick_730:1": "yes"})
    foreign = {"s0_name": "Heart", "s0_config": "x", "s0_map": "9"}

    shown = send(editor, added, "preview", **foreign)
    send(editor, shown, "save")

    models = yaml.safe_load(file.read_text())["templates"]["New"]["models"]
    assert list(models) == [730]
    assert models[730]["map"] == {1: "Brain"}
    assert models[730]["config"] == "3d_fullres"


def test_no_text_of_the_server_or_of_a_form_becomes_a_part_of_the_page(
    editor: TestClient, site: Site
) -> None:
    one = as_json()[0]
    structure = {**one["modelmap"][0], "map_tg263_primary_name": "<i>", "Anatomic_Group": "<i>"}
    save_catalogue(site.state, [{**one, "model_name": "<i>", "modelmap": [structure]}], NOON)

    page = send(editor, editor.get(PLACE), "search", search="<i>", name="<i>", description="<i>")
    added = send(editor, page, "add", **{"pick_720:1": "yes"})

    for text in (page.text, added.text, editor.get("/templates/Prostate_OAR?saved=<i>").text):
        assert "<i>" not in text
    assert page.text.count("&lt;i&gt;") >= 5


def test_a_form_whose_login_has_ended_is_shown_again_and_not_saved(
    serve: Serve, file: Path
) -> None:
    client = serve(password=WORDS, allow_editing=True)
    log_in(client)
    shown = send(client, client.get(PROSTATE), "preview", s0_high="1200")
    before = file.read_bytes()
    client.cookies.clear()

    asked = send(client, shown, "save")

    assert asked.status_code == 401
    assert "What you typed is kept" in asked.text
    assert file.read_bytes() == before


def test_the_form_is_good_html_with_a_label_for_each_field(editor: TestClient) -> None:
    whole = send(editor, send(editor, editor.get(PROSTATE), "derived"), "empty").text

    everything = list(read(whole).iter())
    names = [one.get("id") for one in everything if one.get("id")]

    assert len(names) == len(set(names))
    check_headings(PLACE, everything)
    check_names(PLACE, everything)


@pytest.mark.sweep
def test_a_large_template_loses_no_structure(editor: TestClient, file: Path) -> None:
    names = "".join(f"          {number}: PTV_{number}\n" for number in range(5, 405))
    whole = file.read_text().replace("          4: Femur_Head_R\n", f"          4: F\n{names}")
    file.write_text(whole)

    shown = send(editor, editor.get(PROSTATE), "preview", s0_high="1200")
    send(editor, shown, "save")

    assert file.read_text() == whole.replace("[20, 1500]", "[20, 1200]")


def test_a_template_that_is_too_large_for_a_form_has_none(editor: TestClient, file: Path) -> None:
    names = "".join(f"          {number}: PTV_{number}\n" for number in range(5, 505))
    whole = file.read_text().replace("          4: Femur_Head_R\n", f"          4: F\n{names}")
    file.write_text(whole)

    answer = editor.get(PROSTATE)

    assert answer.status_code == 404
    assert "too large for a form" in answer.text
