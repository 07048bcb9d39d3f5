"""The worst cases of each structure of a commissioning, with pictures."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from drawcli.core.qa.comparison import Comparison
from drawcli.core.qa.criteria import CASES, StructureResult, worst_cases
from drawcli.core.qa.outcomes import StructureComparison
from drawcli.errors import DrawcliError
from drawcli.operations.commissioning.results import CaseResult, Commissioned
from drawcli.operations.qa.document import Block, Figure, FigureRow, Heading, Paragraph
from drawcli.operations.qa.page import figure

if TYPE_CHECKING:
    from drawcli.core.pictures.scene import Scene


def worst_blocks(done: Commissioned) -> Iterator[Block]:
    """Yield the worst three cases of each structure, in three planes where images can be drawn."""
    worst = {result.name: _worst_of(result, done) for result in done.results}
    pictures = _pictures(worst, done)
    for name, numbers in worst.items():
        if numbers:
            yield Heading(name, level=3)
        by_case = done.by_case(name)
        for number in numbers:
            one = by_case[number]
            words = f"Case {number}: {_figures_of(one)}"
            if drawn := pictures.get((number, name)):
                yield FigureRow(drawn, f"{words}. Blue: the model; amber: the clinical contours.")
            else:
                yield Paragraph(f"{words}. No pictures: the images cannot be drawn.")


def _figures_of(one: StructureComparison) -> str:
    if one.dice is None:
        return "the model drew nothing"
    hd95 = "" if one.hd95_mm is None else f", HD95 {figure(one.hd95_mm, 1)} mm"
    return f"Dice {figure(one.dice, 3)}{hd95}"


def _worst_of(result: StructureResult, done: Commissioned) -> list[int]:
    """Return the worst cases of a structure, by the metric of its first criterion."""
    field = result.judgements[0].criterion.field if result.judgements else "dice"
    return worst_cases("dice" if field == CASES else field, done.by_case(result.name))


def _pictures(
    worst: Mapping[str, Sequence[int]], done: Commissioned
) -> dict[tuple[int, str], tuple[Figure, ...]]:
    """Return pictures by case and structure; the images of each case are read once."""
    drawn: dict[tuple[int, str], tuple[Figure, ...]] = {}
    for case in done.compared:
        number = case.case.number
        names = [name for name, numbers in worst.items() if number in numbers]
        scene = _scene(case) if names else None
        if scene is not None:
            drawn |= {(number, name): _row(case, name, scene) for name in names}
    return drawn


def _row(case: CaseResult, name: str, scene: "Scene") -> tuple[Figure, ...]:
    """Return pictures of the largest difference of a structure, one in each plane."""
    from drawcli.core.pictures.difference import difference_pictures
    from drawcli.core.pictures.page import as_jpeg

    compared = case.comparison or Comparison((), ())
    pairs = zip(compared.structures, compared.contours, strict=True)
    contours = next(drawn for one, drawn in pairs if one.name == name)
    return tuple(
        Figure(f"case {case.case.number}, {name}, {plane}", as_jpeg(image))
        for plane, image in difference_pictures(scene, contours)
    )


def _scene(case: CaseResult) -> "Scene | None":
    """Return the images of a case; None if they cannot be drawn."""
    from drawcli.pipeline.preview import scene_without_structures
    from drawcli.pipeline.preview_pixels import read_images_of

    try:
        images = read_images_of(case.case.series.crosswalk.files)
    except DrawcliError:
        return None
    return scene_without_structures(images)
