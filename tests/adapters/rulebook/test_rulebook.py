import hashlib
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawcli.adapters.rulebook import rules_file
from drawcli.adapters.rulebook.rulebook import Rulebook, read_rulebook
from drawcli.core.rules.conditions import RuleHeader
from drawcli.core.rules.decision import Choice, decide
from drawcli.errors import ConfigError

TEMPLATES = """\
templates:
  Prostate_OAR:
    models:
      720:
        name: TSPrime
        config: 3d_fullres
        trainer_name: nnUNetTrainer
        postprocess: null
        map: {1: Bladder, 2: Rectum}
  Thorax_OAR:
    description: Lungs
    models:
      740: {name: TSThorax, config: 3d, trainer_name: T, postprocess: p, map: {1: Lung_L}}
"""
RULES = """\
rules:
  - name: pelvis
    template: Prostate_OAR
    when: {Modality: CT, ProtocolName: {contains: pelvis}}
"""
MODEL = "{name: x, config: y, trainer_name: z, postprocess: null, map: {1: Bladder}}"
NEVER = "- {name: a, exclude: true, when: {Modality: CT}}"
NAMES = "at most 128 letters, digits, _ and -"
END = len("  A: {models: {720: ") + 1 + len(MODEL)  # the column behind it


def book(folder: Path, rules: str = RULES, templates: str = TEMPLATES) -> Rulebook:
    (folder / "rules.yaml").write_text(rules, encoding="utf-8")
    (folder / "templates.yaml").write_text(templates, encoding="utf-8")
    return read_rulebook(folder / "rules.yaml", folder / "templates.yaml")


def problems(folder: Path, rules: str = RULES, templates: str = TEMPLATES) -> list[str]:
    """Return what is wrong, each line without the folder."""
    with pytest.raises(ConfigError) as caught:
        book(folder, rules, templates)
    assert caught.value.hint
    return [line.replace(f"{folder}/", "") for line in str(caught.value).splitlines()]


def test_a_good_book_is_read(tmp_path: Path) -> None:
    read = book(tmp_path)

    assert list(read.templates) == ["Prostate_OAR", "Thorax_OAR"]
    assert read.templates["Prostate_OAR"].drawn == ("Bladder", "Rectum")
    (rule,) = read.rules
    assert (rule.name, rule.template, rule.exclude) == ("pelvis", "Prostate_OAR", False)
    decided = decide(RuleHeader({"Modality": ("CT",), "ProtocolName": ("RT Pelvis",)}), read.rules)
    assert decided.choice is Choice.MATCHED


def test_conditions_nest_and_mean_what_they_say(tmp_path: Path) -> None:
    read = book(
        tmp_path,
        "rules:\n"
        "  - name: deep\n"
        "    comment: only a remark\n"
        "    template: Thorax_OAR\n"
        "    when:\n"
        "      all:\n"
        "        - any: [{Modality: CT}, {Modality: PT}]\n"
        "        - not: {SeriesDescription: {contains: dose}}\n"
        "      SliceThickness: {equals: 3}\n"
        "  - name: never\n"
        "    exclude: true\n"
        "    when: {PatientID: '0123'}\n",
    )

    def chosen(**header: str) -> Choice:
        given = {"SeriesDescription": "CT", "SliceThickness": "3.0", "Modality": "PT", **header}
        return decide(
            RuleHeader({key: (value,) for key, value in given.items()}), read.rules
        ).choice

    assert chosen() is Choice.MATCHED
    assert chosen(Modality="MR") is Choice.UNMATCHED
    assert chosen(SeriesDescription="Dose report") is Choice.UNMATCHED
    assert chosen(SliceThickness="5") is Choice.UNMATCHED
    assert chosen(PatientID="0123") is Choice.EXCLUDED


def test_the_digest_is_over_both_files(tmp_path: Path) -> None:
    read = book(tmp_path)

    assert read.digest == hashlib.sha256(f"{RULES}\0{TEMPLATES}".encode()).hexdigest()
    assert book(tmp_path, RULES + "# remark\n").digest != read.digest
    assert book(tmp_path, RULES, TEMPLATES + "# remark\n").digest != read.digest


def test_a_book_without_rules_is_a_book(tmp_path: Path) -> None:
    assert book(tmp_path, "rules:\n").rules == ()
    assert book(tmp_path, "rules: []\n", "templates: {}\n").templates == {}


def test_a_shared_condition_may_be_written_once(tmp_path: Path) -> None:
    read = book(
        tmp_path,
        "rules:\n"
        "  - {name: a, template: Prostate_OAR, when: &ct {Modality: CT}}\n"
        "  - {name: b, template: Thorax_OAR, when: *ct}\n",
    )

    assert read.rules[0].when == read.rules[1].when


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("- name: a\n   template: Prostate_OAR\n   when: {Modality: CT}", "3:4: this line is not"),
        ("- just words", "2:5: a rule has keys: name, template, when"),
        (
            "- {nam: a, name: b, template: Prostate_OAR, when: {Modality: CT}}",
            "2:6: unknown key 'nam'; did you mean 'name'?",
        ),
        ("- {template: Prostate_OAR, when: {Modality: CT}}", "2:5: 'name' is missing"),
        (
            "- {name: 7, template: Prostate_OAR, when: {Modality: CT}}",
            "2:6: 'name' should be a text; put it in quotes if it looks like a number",
        ),
        ("- {name: a, when: {Modality: CT}}", "2:5: 'template' is missing"),
        (
            "- {name: a, template: [Prostate_OAR], when: {Modality: CT}}",
            "2:15: 'template' should be a name",
        ),
        ("- {name: a, template: no, when: {Modality: CT}}", "2:15: 'template' should be a name"),
        (
            "- {name: a, template: Prostate_OR, when: {Modality: CT}}",
            "2:15: no template 'Prostate_OR' in templates.yaml; did you mean 'Prostate_OAR'?",
        ),
        ("- {name: a, template: Prostate_OAR}", "2:5: 'when' is missing"),
        ("- {name: a, template: Prostate_OAR, when: }", "2:39: a condition is 'all:', 'any:'"),
        ("- {name: a, template: Prostate_OAR, when: CT}", "2:39: a condition is 'all:', 'any:'"),
        ("- {name: a, template: Prostate_OAR, when: {all: {}}}", "2:46: 'all' is a list"),
        ("- {name: a, template: Prostate_OAR, when: {any: []}}", "2:46: 'any' is a list"),
        ("- {name: a, template: Prostate_OAR, when: {not: CT}}", "2:46: a condition is 'all:'"),
        (
            "- {name: a, template: Prostate_OAR, when: {all: [CT]}}",
            "2:52: a condition is 'all:', 'any:', 'not:' or 'Keyword: value'",
        ),
        (
            "- {name: a, template: Prostate_OAR, when: {Modalty: CT}}",
            "2:46: no DICOM keyword 'Modalty'; did you mean 'Modality'?",
        ),
        (
            "- {name: a, template: Prostate_OAR, when: {ALL: [{Modality: CT}]}}",
            "2:46: no DICOM keyword 'ALL'",
        ),
        (
            "- {name: a, template: Prostate_OAR, when: {Modality:CT}}",
            "2:46: write 'Modality: ...': a colon and a space follow a keyword",
        ),
        (
            "- {name: a, template: Prostate_OAR, when: {Series Description: x}}",
            "2:46: no DICOM keyword 'Series'; did you mean 'SeriesDescription'?",
        ),
        *(
            (
                f"- {{name: a, template: Prostate_OAR, when: {{PatientName{rest}}}}}",
                "2:46: write 'PatientName: ...': a colon and a space follow a keyword",
            )
            for rest in ("*Smith", "-Smith", "=Smith", "/Smith", "''", "_Sm")
        ),
        (
            "- {name: a, template: Prostate_OAR, PatientName*Smith, when: {Modality: CT}}",
            "2:39: unknown key 'PatientName...'",
        ),
        *(
            (
                f"- {{name: a, template: Prostate_OAR, when: {{PatientName{rest}: x}}}}",
                "2:46: no such DICOM keyword; did you mean 'PatientName'?",
            )
            for rest in ("Smith", ".Smith", ".0.Smith")
        ),
        (
            "- {name: a, template: Prostate_OAR, when: {RequestAttributesSequence.0.X: x}}",
            "2:46: no DICOM keyword 'RequestAttributesSequence.0.X'",
        ),
        ("- {name: a, template: Prostate_OAR, when: {'': CT}}", "2:46: no DICOM keyword ''"),
        ("- {name: a, template: Prostate_OAR, when: {12: CT}}", "2:46: no DICOM keyword '12'"),
        (
            "- {name: a, template: Prostate_OAR, when: {Modality: {contans: C}}}",
            "2:57: no operator 'contans'; did you mean 'contains'?",
        ),
        (
            "- {name: a, template: Prostate_OAR, when: {Modality: {}}}",
            "2:46: 'Modality' has no operator",
        ),
        (
            "- {name: a, template: Prostate_OAR, when: {Modality: }}",
            "2:46: 'Modality' is compared with a text or a number; put it in quotes",
        ),
        (
            "- {name: a, template: Prostate_OAR, when: {BurnedInAnnotation: no}}",
            "2:46: 'BurnedInAnnotation' is compared with a text or a number; put it in quotes",
        ),
        (
            "- {name: a, template: Prostate_OAR, when: {StudyDate: 2026-01-31}}",
            "2:46: 'StudyDate' is compared with a text or a number; put it in quotes",
        ),
        (
            "- {name: a, template: Prostate_OAR, when: {PatientID: 0123}}",
            "2:57: YAML reads this value as another; put a text in quotes",
        ),
        (
            "- {name: a, template: Prostate_OAR, when: {Modality: [CT, PT]}}",
            "2:46: 'Modality' is compared with one value; for several write {in: [...]}",
        ),
        (
            "- {name: a, template: Prostate_OAR, when: {ProtocolName: {contains: ' '}}}",
            "2:61: 'ProtocolName' is compared with an empty text",
        ),
        (
            "- {name: a, template: Prostate_OAR, exclude: true, when: {Modality: CT}}",
            "2:15: a rule with 'exclude: true' has no template",
        ),
        ("- {name: a, exclude: never, when: {Modality: CT}}", "2:15: 'exclude' is true or false"),
        (
            f"{NEVER}\n  {NEVER}",
            "3:6: another rule has the name 'a'",
        ),
    ],
)
def test_each_mistake_in_a_rule_is_told_where_it_is(tmp_path: Path, entry: str, told: str) -> None:
    first, *others = problems(tmp_path, f"rules:\n  {entry}\n")

    assert first.startswith(f"rules.yaml:{told}")
    assert not others


def test_only_the_beginning_of_a_long_key_is_searched_for_a_keyword(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each beginning is compared: with all of them the time would grow with the square."""
    asked: list[str] = []
    monkeypatch.setattr(rules_file, "canonical_path", asked.append)

    problems(tmp_path, f"rules:\n  - {{name: a, exclude: true, when: {{? {'x' * 10_000} : CT}}}}\n")

    assert sum(len(word) < 10_000 for word in asked) == rules_file._LONGEST_PATH


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("A: {models: {720.5: %s}}", "2:16: 'models.720.5' should be a whole number"),
        ('A: {models: {"720": %s}}', "2:16: 'models.720' should be a whole number, without quotes"),
        ("A: {models: {10: %s}}", "2:16: 'models.10' should be greater than 10"),
        ("A: {models: {}}", "2:7: 'models' should not be empty"),
        ("A: {models: [720]}", "2:7: 'models' should have keys with values below it"),
        ("A: {models: {720: x}}", "2:16: 'models.720' should have keys with values below it"),
        ("A:", "2:3: this should have keys with values below it"),
        ("A: {model: {720: %s}, models: {720: %s}}", "2:7: unknown key 'model'; did you mean"),
        ("A: {models: {720: %s}, protocol: DRAW}", f"2:{END + 3}: unknown key 'protocol'"),
        ("A: {models: {720: %s}, description: 3}", f"2:{END + 3}: 'description' should be a text"),
        ("no: {models: {720: %s}}", "2:3: 'False' is not a template name"),
        ("12: {models: {720: %s}}", "2:3: '12' is not a template name"),
        (
            "Prostate OAR: {models: {720: %s}}",
            "2:3: 'Prostate OAR' is not a template name: at",
        ),
        ("../A: {models: {720: %s}}", "2:3: '../A' is not a template name"),
        (f"{'A' * 129}: {{models: {{720: %s}}}}", f"2:3: '{'A' * 129}' is not a template name"),
        (
            "A: {models: {720: %s, 730: %s}}",
            "2:3: two models draw the same structure: Bladder",
        ),
        ("A: {models: {720: %s, 720: %s}}", f"2:{END + 2}: duplicate key '720'"),
    ],
)
def test_each_mistake_in_a_template_is_told_where_it_is(
    tmp_path: Path, entry: str, told: str
) -> None:
    first, *others = problems(tmp_path, "rules:\n", f"templates:\n  {entry.replace('%s', MODEL)}\n")

    assert first.startswith(f"templates.yaml:{told}")
    assert not others


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("name", "3", "'models.720.name' should be a text; put it in quotes"),
        ("name", "''", "'models.720.name' should not be empty"),
        ("config", "yes", "'models.720.config' should be a text; put it in quotes"),
        ("trainer_name", "null", "'models.720.trainer_name' should be a text; put it in quotes"),
        ("postprocess", "'null'", "'models.720.postprocess' write null without quotes"),
        ("postprocess", "'None'", "'models.720.postprocess' write null without quotes"),
        ("postprocess", "7", "'models.720.postprocess' should be a text; put it in quotes"),
        ("map", "{}", "'models.720.map' should not be empty"),
        ("map", "[Bladder]", "'models.720.map' should have keys with values below it"),
        ("map", "{1: Bladder, 2: Bladder}", "'models.720.map' structure named more than once"),
        ("map", "{1: Bladder, 1: Rectum}", "duplicate key '1'"),
        ("map", "{1: no}", "'models.720.map.1' should be a text; put it in quotes"),
        ("map", "{0: Bladder}", "'models.720.map.0' should be greater than 0"),
        ("map", "{'1': Bladder}", "'models.720.map.1' should be a whole number, without quotes"),
        ("map", "{1.0: Bladder}", "'models.720.map.1.0' should be a whole number"),
        ("map", "{Bladder: 1}", "'models.720.map.Bladder' should be a whole number"),
        ("extra", "1", "unknown key 'models.720.extra'"),
    ],
)
def test_each_mistake_in_a_model_is_told_with_its_line(
    tmp_path: Path, key: str, value: str, told: str
) -> None:
    lines = {"name": "x", "config": "y", "trainer_name": "z", "postprocess": "null"}
    lines |= {"map": "{1: Bladder}", key: value}
    model = "".join(f"        {name}: {text}\n" for name, text in lines.items())

    said = problems(tmp_path, "rules:\n", f"templates:\n  A:\n    models:\n      720:\n{model}")

    assert said[0].startswith(f"templates.yaml:{5 + list(lines).index(key)}:")
    assert told in said[0]


@pytest.mark.parametrize("key", ["name", "config", "trainer_name", "postprocess", "map"])
def test_each_key_of_a_model_is_asked_for(tmp_path: Path, key: str) -> None:
    kept = [part for part in MODEL.strip("{}").split(", ") if not part.startswith(f"{key}:")]
    model = f"{{{', '.join(kept)}}}" if key != "map" else MODEL.replace(", map: {1: Bladder}", "")
    model += "" if model.count("{") == model.count("}") else "}"

    said = problems(tmp_path, "rules:\n", f"templates:\n  A: {{models: {{720: {model}}}}}\n")

    assert said == [f"templates.yaml:2:16: 'models.720.{key}' is missing"]


@pytest.mark.parametrize(
    ("rules", "templates", "told"),
    [
        ("", TEMPLATES, "rules.yaml:1:1: 'rules:' is missing; the file begins with it"),
        ("3\n", TEMPLATES, "rules.yaml:1:1: 'rules:' is missing; the file begins with it"),
        ("# nothing\n", TEMPLATES, "rules.yaml:1:1: 'rules:' is missing; the file begins with"),
        ("- name: a\n", TEMPLATES, "rules.yaml:1:1: 'rules:' is missing; the file begins with"),
        ("rule: []\n", TEMPLATES, "rules.yaml:1:1: 'rules:' is missing; found 'rule' instead"),
        ("rules: {a: b}\n", TEMPLATES, "rules.yaml:1:1: 'rules' should be a list, each entry"),
        ("rules: []\nextra: 1\n", TEMPLATES, "rules.yaml:2:1: unknown key 'extra'"),
        ("rules: []\nrules: []\n", TEMPLATES, "rules.yaml:2:1: duplicate key 'rules'"),
        ("rules: []\n", "", "templates.yaml:1:1: 'templates:' is missing; the file begins"),
        ("rules: []\n", "templates: [A]\n", "templates.yaml:1:1: 'templates' should be entries"),
        ("rules: []\n", "\ttemplates:\n", "templates.yaml:1:1: a tab; indent with spaces"),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, rules: str, templates: str, told: str) -> None:
    (said,) = problems(tmp_path, rules, templates)

    assert said.startswith(told)


def test_everything_wrong_in_both_files_is_told_at_once_and_nothing_twice(tmp_path: Path) -> None:
    said = problems(
        tmp_path,
        "rules:\n"
        "  - {name: a, template: Faulty, when: {Modalty: CT}}\n"
        "  - {name: b, template: Missing, when: {Modality: {like: CT}}}\n",
        TEMPLATES + "  Faulty: {models: {}}\n  'bad name': {models: {}}\n",
    )

    assert said == [
        "templates.yaml:14:12: 'models' should not be empty",
        f"templates.yaml:15:3: 'bad name' is not a template name: {NAMES}",
        "rules.yaml:2:40: no DICOM keyword 'Modalty'; did you mean 'Modality'?",
        "rules.yaml:3:15: no template 'Missing' in templates.yaml",
        "rules.yaml:3:52: no operator 'like'; write 'contains'",
    ]


def test_faults_of_yaml_in_both_files_are_told_at_once(tmp_path: Path) -> None:
    said = problems(tmp_path, "rules:\n\t- a\n", "templates: [\n")

    assert [line.split(":")[0] for line in said] == ["templates.yaml", "rules.yaml"]


def test_a_missing_file_is_told_with_the_way_to_make_it(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)

    with pytest.raises(ConfigError, match=r"templates\.yaml: No such file") as caught:
        read_rulebook(tmp_path / "rules.yaml", tmp_path / "templates.yaml")

    assert str(caught.value).count("\n") == 0
    assert "drawcli init" in caught.value.hint


def test_aliases_that_grow_without_end_do_not_hang(tmp_path: Path) -> None:
    any_of = [f"  - &a{n} {{any: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 25)]
    begun = time.process_time()

    said = problems(tmp_path, "rules:\n  - &a0 {Modality: CT}\n" + "".join(any_of))

    assert said == ["rules.yaml: more than 100000 values with aliases expanded"]
    assert time.process_time() - begun < 20


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_WORDS = st.sampled_from(
    "rules templates name template when all any not Modality exclude models map equals A".split()
)
_TREES = st.recursive(
    _SCALARS | _WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_WORDS | _SCALARS, inner, max_size=4)
    ),
    max_leaves=12,
)


@given(rules=_TREES, templates=_TREES)
@settings(max_examples=50)
def test_whatever_the_files_hold_the_outcome_is_a_book_or_a_told_error(
    tmp_path_factory: pytest.TempPathFactory, rules: object, templates: object
) -> None:
    import yaml

    folder = tmp_path_factory.getbasetemp()
    texts = [yaml.safe_dump({"rules": rules}), yaml.safe_dump({"templates": templates})]

    try:
        read = book(folder, *texts)
    except ConfigError as err:
        assert str(folder) in str(err)  # noqa: PT017 - both ways are right
    else:
        assert read.digest


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    done = subprocess.run(
        ["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_rules_that_are_not_under_git_have_no_commit(tmp_path: Path) -> None:
    assert book(tmp_path).commit is None

    git(tmp_path, "init", "-q")
    assert book(tmp_path).commit is None


def test_the_commit_is_recorded_and_a_plus_where_a_file_differs_from_it(tmp_path: Path) -> None:
    book(tmp_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "rules")
    head = git(tmp_path, "rev-parse", "--short=12", "HEAD")
    (tmp_path / "something-else.txt").touch()

    assert book(tmp_path).commit == head
    assert book(tmp_path, RULES + "# changed\n").commit == f"{head}+"
    assert book(tmp_path, RULES, TEMPLATES + "# changed\n").commit == f"{head}+"
    git(tmp_path, "add", ".")
    assert read_rulebook(tmp_path / "rules.yaml", tmp_path / "templates.yaml").commit == f"{head}+"


@pytest.mark.parametrize("where", ["below", "link", "GIT_DIR"])
def test_the_commit_is_found_from_where_git_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    site = tmp_path / "repository" / "ward" / "site"
    site.mkdir(parents=True)
    book(site)
    git(site.parents[1], "init", "-q")
    git(site.parents[1], "add", ".")
    git(site.parents[1], "commit", "-qm", "rules")
    head = git(site, "rev-parse", "--short=12", "HEAD")
    if where == "link":
        (tmp_path / "link").symlink_to(site)
        site = tmp_path / "link"
    elif where == "GIT_DIR":
        git_dir = (site.parents[1] / ".git").rename(tmp_path / "elsewhere")
        monkeypatch.setenv("GIT_DIR", str(git_dir))
        monkeypatch.setenv("GIT_WORK_TREE", str(site.parents[1]))

    commit = read_rulebook(site / "rules.yaml", site / "templates.yaml").commit

    assert commit == (f"{head}+" if where == "link" else head)  # git calls what is linked outside


def test_where_there_is_no_repository_git_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drawcli.system.programs.run_program", pytest.fail)

    assert book(tmp_path).commit is None


@pytest.mark.parametrize("kind", ["untracked", "ignored", "elsewhere"])
def test_a_file_that_no_commit_holds_differs_from_every_commit(tmp_path: Path, kind: str) -> None:
    site = tmp_path / "site"
    site.mkdir()
    book(site)
    templates = site / "templates.yaml"
    git(site, "init", "-q")
    git(site, "add", "rules.yaml")
    if kind == "ignored":
        (site / ".gitignore").write_text("templates.yaml\n")
        git(site, "add", ".gitignore")
    elif kind == "elsewhere":
        templates = templates.rename(tmp_path / "templates.yaml")
    git(site, "commit", "-qm", "rules")

    commit = read_rulebook(site / "rules.yaml", templates).commit

    assert commit == git(site, "rev-parse", "--short=12", "HEAD") + "+"


def test_asking_git_changes_nothing_in_the_repository(tmp_path: Path) -> None:
    book(tmp_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "rules")
    for path in (tmp_path / "rules.yaml", tmp_path / "templates.yaml"):
        path.write_bytes(path.read_bytes())  # git would refresh its index for that
    index = tmp_path / ".git" / "index"
    before = (index.read_bytes(), index.stat().st_mtime_ns)

    read_rulebook(tmp_path / "rules.yaml", tmp_path / "templates.yaml")

    assert (index.read_bytes(), index.stat().st_mtime_ns) == before


def test_a_computer_without_git_has_no_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert book(tmp_path).commit is None
