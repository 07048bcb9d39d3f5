"""The pages about metrics: their figures are those of the program, their pictures what is drawn."""

import re
from pathlib import Path

import pytest

from tests import metric_pictures
from tests.core.qa.example import compared

PAGES = Path(__file__).parents[3] / "docs" / "explanation" / "metrics"
FIGURE = re.compile(r"`(\w+)`(?: at 3 mm:)? \*\*([^*]+)\*\*")


@pytest.mark.parametrize("name", metric_pictures.PICTURES)
def test_the_figures_of_the_example_are_those_of_the_program(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    told = FIGURE.findall(text)
    plain = compared().as_plain()

    assert told
    for field, values in told:
        own = plain[field] if isinstance(plain[field], list) else [plain[field]]
        words = values.split(", ")
        digits = len(words[0].partition(".")[2])
        assert words == [f"{figure:.{digits}f}" for figure in own], field


@pytest.mark.parametrize("name", metric_pictures.PICTURES)
def test_pictures_are_what_is_drawn(name: str) -> None:
    path = metric_pictures.FOLDER / f"{name}.svg"

    assert path.read_text(encoding="utf-8") == metric_pictures.drawn(name), (
        "renew: python -m tests.metric_pictures"
    )


def test_each_page_has_formula_picture_example_limits_and_literature() -> None:
    pages = sorted(PAGES.glob("*.md"))

    assert {page.stem for page in pages} == set(metric_pictures.PICTURES)
    for page in pages:
        titles = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert titles == ["Formula", "Example", "What it does not say", "Literature"], page.name
