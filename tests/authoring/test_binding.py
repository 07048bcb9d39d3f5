"""A rule is bound to the template that the former client sent for it, whatever the names are.

The exports are made here, with the truth beside them. The result is read with yaml alone: each rule
is found by a value in its condition that no other rule has, each template by the structures that it
asks for, so nothing of the importer judges itself.
"""

import hashlib
import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from drawcli.authoring.migrate import LEFT, Migration, migrate_to_folder, migrate_to_site
from tests.former_export import record

NAMES = ["Pelvis", "pelvis", "Pelvis ", " Pelvis", "Pelvis!", "Pel vis", "Pel_vis", "Pel/vis"]
NAMES += ["Head & Neck", "Head + Neck", "Head_Neck", "Pelvis (3mm)", "Pelvis 3mm", "Bécken", ""]
Records = list[dict[str, Any]]


@dataclass
class Generator:
    """Makes exports of both clients whose names collide, and remembers what each rule sent."""

    dice: random.Random
    folder: Path
    truth: dict[str, str | None] = field(default_factory=dict)  # mark of a rule -> its structure
    made: int = 0

    def number(self) -> int:
        self.made += 1
        return self.made

    def template(self) -> tuple[int, dict[int, dict[str, Any]]]:
        """Return a number, and models that no other template has."""
        number = self.number()
        model: dict[str, Any] = {"name": "M", "config": "3d", "trainer_name": "T"}
        model |= {"postprocess": None, "map": {1: f"Organ{number}"}}
        return number, {700 + number: model}

    def site_file(self) -> str:
        """Return templates.yaml of a site that has templates of such names already."""
        names = self.dice.sample(["Pelvis", "Pel_vis", "Head_Neck", "Pelvis_3mm"], k=3)
        plain = {name: {"models": self.template()[1]} for name in names}
        return yaml.safe_dump({"templates": plain})

    def second_client(self, name: str) -> Path:
        records: Records = [record("dicomtagtype", "p", tag_name="Protocol Name", tag_id="")]
        keys = {}
        for _ in range(self.dice.randint(1, 6)):
            number, models = self.template()
            ((model, values),) = models.items()
            key = keys[number] = self._key(number)
            records += [
                record(
                    "autosegmentationtemplate",
                    key,
                    template_name=self.dice.choice(NAMES),
                    template_description="",
                ),
                record(
                    "autosegmentationmodel",
                    number,
                    autosegmentation_template_name=key,
                    model_id=model,
                    **{one: values[one] for one in ("name", "config", "trainer_name")},
                    postprocess="null",
                ),
                record(
                    "autosegmentationstructure",
                    number,
                    autosegmentation_model=number,
                    map_id=1,
                    name=values["map"][1],
                ),
            ]
        for _ in range(self.dice.randint(1, 8)):
            at, chosen = self.number(), self.dice.choice([*keys, None])
            key = "" if chosen is None else keys[chosen]
            records += [
                record(
                    "rulegroup",
                    at,
                    rulegroup_name=self.dice.choice(["Rule Group", "Pelvis"]),
                    associated_autosegmentation_template=key or None,
                ),
                record("ruleset", at, ruleset_name="s", rulegroup=at, rulset_order=1),
                record(
                    "rule",
                    at,
                    ruleset=at,
                    dicom_tag_type="p",
                    operator_type="EQUALS",
                    tag_value_to_evaluate=self._mark(at, chosen),
                ),
            ]
        return self._write(name, records)

    def first_client(self, name: str) -> list[Path]:
        """Return an export and its template files: some are not given, some are others."""
        records: Records = [record("tagname", 1, tag_name="ProtocolName", tag_id="(0018,1030)")]
        files = []
        for _ in range(self.dice.randint(1, 5)):
            number, models = self.template()
            stem = self.dice.choice(["Pelvis", "Pel_vis", "Head_Neck"])
            path = self.folder / f"{name}-{number}" / f"{stem}.yml"
            path.parent.mkdir()
            text = yaml.safe_dump({"name": stem, "protocol": stem, "models": models})
            path.write_text(text)
            fate = self.dice.choice(["given", "given", "lost", "another"])
            digest = hashlib.sha512(text.encode()).hexdigest()
            if fate == "another":  # one of the same name that the client never had
                other = yaml.safe_dump(
                    {"name": stem, "protocol": stem, "models": self.template()[1]}
                )
                path.write_text(other)
            files += [path] if fate != "lost" else []
            at = self.number()
            records += [
                record("modelyamlinfo", number, yaml_name=path.name, file_hash=digest),
                record(
                    "ruleset", at, rule_set_name=self.dice.choice(["a", "b"]), model_yaml=number
                ),
                record("rule", at, rule_set=at, tag_name=1, tag_value=self._mark(at, number)),
            ]
        return [self._write(name, records), *files]

    def _key(self, number: int) -> Any:
        return self.dice.choice([number, f"0000-{number}", f"t{number}"])

    def _mark(self, at: int, number: int | None) -> str:
        mark = f"scan {at} of it"
        self.truth[mark] = None if number is None else f"Organ{number}"
        return mark

    def _write(self, name: str, records: Records) -> Path:
        self.dice.shuffle(records)
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(records))
        return path


def bindings(folder: Path) -> dict[str, list[str]]:
    """Return the structures that the series of each mark would be sent for."""
    templates = yaml.safe_load((folder / "templates.yaml").read_text())["templates"] or {}
    asked = {
        name: [organ for model in one["models"].values() for organ in model["map"].values()]
        for name, one in templates.items()
    }
    rules = yaml.safe_load((folder / "rules.yaml").read_text())["rules"] or []
    return {mark_of(rule["when"]): asked[rule["template"]] for rule in rules}


def mark_of(when: Any) -> str:
    """Return the one text in a condition that is a mark."""
    if isinstance(when, str):
        return when if when.startswith("scan ") else ""
    inner = when.values() if isinstance(when, dict) else when if isinstance(when, list) else ()
    return next(filter(None, map(mark_of, inner)), "")


def start(world: Generator, *, is_site: bool) -> Migration:
    folder = world.folder / "site"
    if not is_site:
        return migrate_to_folder(folder)
    folder.mkdir()
    (folder / "rules.yaml").write_text("rules:\n")
    (folder / "templates.yaml").write_text(world.site_file())
    return migrate_to_site(folder / "rules.yaml", folder / "templates.yaml", 64)


SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.sweep) for seed in range(4, 30))]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_rule_is_bound_to_another_template_of_its_name(tmp_path: Path, seed: int) -> None:
    world = Generator(random.Random(seed), tmp_path)  # noqa: S311 - a test
    migration = start(world, is_site=seed % 3 > 0)
    paths = [*world.first_client("old"), world.second_client("new"), world.second_client("newer")]

    migration.take(paths)
    migration.write()

    found = bindings(tmp_path / "site")
    assert {mark: [world.truth[mark]] for mark in found} == found
    left = [one for one in migration.taken if one.kind == "rule" and one.outcome == LEFT]
    assert len(found) + len(left) == len(world.truth)
    again = migrate_to_site(tmp_path / "site/rules.yaml", tmp_path / "site/templates.yaml", 64)
    before = [(tmp_path / "site" / name).read_bytes() for name in ("rules.yaml", "templates.yaml")]
    again.take(paths)
    again.write()
    after = [(tmp_path / "site" / name).read_bytes() for name in ("rules.yaml", "templates.yaml")]
    assert after == before


def test_the_generator_makes_rules_of_both_fates(tmp_path: Path) -> None:
    bound = left = 0
    for seed in range(5):
        folder = tmp_path / str(seed)
        folder.mkdir()
        world = Generator(random.Random(seed), folder)  # noqa: S311 - a test
        migration = start(world, is_site=True)

        migration.take([*world.first_client("old"), world.second_client("new")])

        outcomes = [one.outcome for one in migration.taken if one.kind == "rule"]
        left += outcomes.count(LEFT)
        bound += len(outcomes) - outcomes.count(LEFT)
    assert bound > 3
    assert left > 3


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ([("autosegmentationtemplate", None, {"template_name": "A"})], "has no key"),
        (
            [
                ("autosegmentationtemplate", 1, {"template_name": "A"}),
                ("autosegmentationtemplate", "1", {"template_name": "B"}),
            ],
            "two different records",
        ),
    ],
)
def test_an_export_whose_records_cannot_be_told_apart_is_refused(
    tmp_path: Path, records: list[tuple[str, Any, dict[str, Any]]], why: str
) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps([record(kind, pk, **fields) for kind, pk, fields in records]))

    with pytest.raises(Exception, match=why):
        migrate_to_folder(tmp_path / "new").take([path])
