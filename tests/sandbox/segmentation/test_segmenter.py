from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from drawcli.sandbox.anatomy import BODIES, BodyPart, grid_mm
from drawcli.sandbox.catalogue import CATALOGUE, SandboxModel
from drawcli.sandbox.patients import PEOPLE, Person, Site
from drawcli.sandbox.segmentation.segmenter import DrawnContour, Segmenter
from drawcli.sandbox.segmentation.volume import Floats, PhantomSlice, volume
from tests.phantoms.mr_pt import write_mr, write_pt
from tests.phantoms.planning import write_planning_ct

SITES: list[Site] = ["pelvis", "head-neck", "thorax"]


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.site)
def test_the_outline_of_the_body_has_the_area_of_the_phantom(
    tmp_path: Path, person: Person
) -> None:
    slices = volume(
        dcmread(path) for path in write_planning_ct(tmp_path, person, slices=5, size=512)
    )

    contours = Segmenter(slices).contours("Body")

    assert [contour.slice_index for contour in contours] == list(range(5))
    for contour in contours:
        z = slices[contour.slice_index].origin[2]
        assert _area_mm2(contour) == pytest.approx(BODIES[person.site].area_mm2(z), rel=0.01)


def test_every_point_lies_on_its_slice(volumes: dict[str, list[PhantomSlice]]) -> None:
    segmenter = Segmenter(volumes["thorax"])

    for name in ("Body", "Lung_L", "Heart", "Bones"):
        contours = segmenter.contours(name)
        assert contours
        for contour in contours:
            z = volumes["thorax"][contour.slice_index].origin[2]
            assert contour.points[:, 2] == pytest.approx(np.full(len(contour.points), z))


def test_the_left_lung_is_on_the_left_and_as_large_as_the_air_in_it(
    volumes: dict[str, list[PhantomSlice]],
) -> None:
    slices = volumes["thorax"]
    segmenter = Segmenter(slices)

    left, right = segmenter.contours("Lung_L"), segmenter.contours("Lung_R")

    assert min(_middle(contour)[0] for contour in left) > 20
    assert max(_middle(contour)[0] for contour in right) < -20
    (middle,) = (each for each in left if each.slice_index == 15)
    width, depth = BODIES["thorax"].half_axes_mm(slices[15].origin[2])
    x = grid_mm(128)
    in_body = (x[None, :] / width) ** 2 + (x[:, None] / depth) ** 2 < 0.9
    air = (slices[15].values() < -300) & in_body & (x[None, :] > 0)
    assert _area_mm2(middle) == pytest.approx(air.sum() * slices[15].pixel_mm2, rel=0.05)


def test_lungs_are_the_left_and_the_right_together(volumes: dict[str, list[PhantomSlice]]) -> None:
    segmenter = Segmenter(volumes["thorax"])

    both = len(segmenter.contours("Lungs"))

    assert both == len(segmenter.contours("Lung_L")) + len(segmenter.contours("Lung_R")) > 30


def test_a_pelvis_has_no_lung_for_all_the_gas_in_its_bowel(
    volumes: dict[str, list[PhantomSlice]],
) -> None:
    assert Segmenter(volumes["pelvis"]).contours("Lungs") == []


def test_the_air_in_a_head_is_no_lung(volumes: dict[str, list[PhantomSlice]]) -> None:
    contours = Segmenter(volumes["head-neck"]).contours("Lungs")

    assert contours
    assert max(contour.points[0, 2] for contour in contours) < -100


def test_in_sagittal_slices_left_and_right_are_told_apart_too(
    volumes: dict[str, list[PhantomSlice]],
) -> None:
    """The scan is cut anew: slices follow x, rows run to the back, columns to the head."""
    slices = volumes["thorax"]
    block = np.stack([each.stored for each in slices])  # z, y, x
    first, step = slices[0].origin, slices[0].along_row[0]
    sagittal = [
        replace(
            slices[0],
            origin=first + np.array([column * step, 0, 0]),
            along_row=np.array([0, step, 0]),
            along_column=np.array([0, 0, 10.0]),
            stored=block[:, :, column],
        )
        for column in range(20, 108)
    ]
    segmenter = Segmenter(sagittal)

    for name in ("Lung_L", "Breast_L"):
        assert segmenter.contours(name)
        assert min(_middle(contour)[0] for contour in segmenter.contours(name)) > 0
    heart, axial = segmenter.contours("Heart"), Segmenter(slices).contours("Heart")
    assert _box_mm(heart) == pytest.approx(_box_mm(axial), abs=14)  # a slice and a half


def test_bone_ends_between_a_dense_pixel_and_one_that_is_not(
    volumes: dict[str, list[PhantomSlice]],
) -> None:
    slices = volumes["pelvis"]

    contours = Segmenter(slices).contours("Bones")

    assert len(contours) > 30
    for contour in contours:
        each = slices[contour.slice_index]
        columns, rows = ((contour.points - each.origin)[:, :2] / each.along_row[0]).round(6).T
        ends = [
            each.values()[turn(rows).astype(int), turn(columns).astype(int)]
            for turn in (np.floor, np.ceil)
        ]
        assert np.minimum(*ends).max() <= 220 <= np.maximum(*ends).min()


@pytest.mark.parametrize("name", ["Bladder", "Prostate", "Rectum", "Femur_Head_L", "Femur_Head_R"])
def test_a_placed_organ_of_the_pelvis_is_where_the_phantom_has_it(
    volumes: dict[str, list[PhantomSlice]], name: str
) -> None:
    part = _part("pelvis", name)

    contours = Segmenter(volumes["pelvis"]).contours(name)

    middle = np.mean([_middle(contour) for contour in contours], axis=0)
    assert middle == pytest.approx(part.centre, abs=8)


@pytest.mark.parametrize("model", CATALOGUE, ids=lambda model: model.name)
def test_every_structure_of_the_catalogue_lies_in_the_body_it_is_meant_for(
    volumes: dict[str, list[PhantomSlice]], model: SandboxModel
) -> None:
    site = SITES[CATALOGUE.index(model)]
    segmenter = Segmenter(volumes[site])

    for name in model.structures.values():
        contours = segmenter.contours(name)
        assert contours, name
        for contour in contours:
            z = volumes[site][contour.slice_index].origin[2]
            width, depth = BODIES[site].half_axes_mm(z)
            reach = np.hypot(contour.points[:, 0] / width, contour.points[:, 1] / depth)
            assert reach.max() < 1.05, name


def test_one_name_gives_the_same_contours_again(volumes: dict[str, list[PhantomSlice]]) -> None:
    once, again = (Segmenter(volumes["pelvis"]).contours("Flumph") for _ in range(2))

    assert len(once) > 0
    assert all(np.array_equal(a.points, b.points) for a, b in zip(once, again, strict=True))


def test_left_stays_left_when_the_patient_lies_prone(
    volumes: dict[str, list[PhantomSlice]],
) -> None:
    """Turned by 180 degrees, rows run to the right and columns to the front of the patient."""
    prone = [
        replace(
            each,
            origin=each.origin * [-1, -1, 1],
            along_row=-each.along_row,
            along_column=-each.along_column,
        )
        for each in volumes["thorax"]
    ]

    left = Segmenter(prone).contours("Breast_L") + Segmenter(prone).contours("Lung_L")

    assert min(_middle(contour)[0] for contour in left) > 20


@pytest.mark.parametrize("write", [write_mr, write_pt])
def test_mr_and_pt_have_an_outline_too(tmp_path: Path, write: Callable[..., list[Path]]) -> None:
    person: Person = PEOPLE[0]
    paths = write(tmp_path, person, slices=6, size=128)
    slices = volume(dcmread(path) for path in paths)

    contours = Segmenter(slices).contours("Body")

    assert len(contours) == 6
    for contour in contours:
        z = slices[contour.slice_index].origin[2]
        assert _area_mm2(contour) == pytest.approx(BODIES["pelvis"].area_mm2(z), rel=0.05)


def test_nothing_but_air_gives_no_contour(volumes: dict[str, list[PhantomSlice]]) -> None:
    air = [replace(each, stored=np.zeros_like(each.stored)) for each in volumes["pelvis"][:3]]
    segmenter = Segmenter(air)

    assert [segmenter.contours(name) for name in ("Body", "Bones", "Lungs", "Bladder")] == [[]] * 4


def _part(site: Site, name: str) -> BodyPart:
    return next(part for part in BODIES[site].parts if part.name == name)


def _area_mm2(contour: DrawnContour) -> float:
    x, y, _ = np.vstack([contour.points, contour.points[:1]]).T
    return abs(float(x[:-1] @ y[1:] - x[1:] @ y[:-1])) / 2


def _box_mm(contours: list[DrawnContour]) -> Floats:
    points = np.vstack([contour.points for contour in contours])
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _middle(contour: DrawnContour) -> Floats:
    return np.asarray((contour.points.min(axis=0) + contour.points.max(axis=0)) / 2)


def test_the_second_version_of_the_model_draws_the_bladder_two_mm_larger(
    volumes: dict[str, list[PhantomSlice]],
) -> None:
    first, second = Segmenter(volumes["pelvis"]), Segmenter(volumes["pelvis"], 2)

    def widest_mm(segmenter: Segmenter) -> float:
        return max(float(np.ptp(each.points[:, 0])) for each in segmenter.contours("Bladder"))

    assert widest_mm(second) - widest_mm(first) == pytest.approx(4, abs=0.4)
    for name in ("Rectum", "Body", "Bones"):
        same = zip(first.contours(name), second.contours(name), strict=True)
        assert all(np.array_equal(one.points, other.points) for one, other in same)
