"""Distances between two surfaces, weighted by area."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from drawcli.core.qa.structures import Floats, dot
from drawcli.core.qa.surfaces import Surface

_NEAREST: Final = 5  # triangles by their centres, among which the nearest is looked for
_AT_ONCE: Final = 50_000
_TINY: Final = 1e-18


@dataclass(frozen=True, slots=True)
class SurfaceDistances:
    """Distances between two surfaces A and B, mm."""

    hd: float  # the larger of the two directed maxima
    hd95: float  # the larger of the two directed 95th percentiles
    mean: float  # the mean of the two directed means
    surface_dice: float  # share of both surfaces within tau of the other


def surface_distances(a: Surface, b: Surface, tau_mm: float) -> SurfaceDistances:
    """Return the distances between two surfaces.

    References
    ----------
    Nikolov et al. 2021, doi:10.2196/26151 (surface Dice).
    """
    directed = [
        (_directed(one.samples, other.triangles), one.areas) for one, other in ((a, b), (b, a))
    ]
    within = sum(float(weight[away <= tau_mm].sum()) for away, weight in directed)
    total = sum(float(weight.sum()) for _, weight in directed)
    return SurfaceDistances(
        hd=max(float(away.max()) for away, _ in directed),
        hd95=max(_percentile(away, weight, 0.95) for away, weight in directed),
        mean=sum(float(away @ weight / weight.sum()) for away, weight in directed) / 2,
        surface_dice=within / total,
    )


def _directed(samples: Floats, triangles: Floats) -> Floats:
    """Return the distance of each sample of a surface to the other surface, mm."""
    from scipy.spatial import cKDTree

    tree = cKDTree(triangles.mean(axis=1))
    away = np.empty(len(samples))
    for first in range(0, len(samples), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        _, near = tree.query(samples[part], min(_NEAREST, len(triangles)))
        near = near.reshape(len(samples[part]), -1)
        away[part] = _to_triangles(samples[part, None], triangles[near]).min(axis=1)
    return away


def _to_triangles(points: Floats, triangles: Floats) -> Floats:
    """Return the distance of points (... x 3) to triangles (... x 3 corners x 3)."""
    a, b, c = (triangles[..., corner, :] for corner in range(3))
    normal = np.cross(b - a, c - a)
    square = dot(normal, normal)
    height = dot(points - a, normal)
    inside = square > _TINY
    for begin, end in ((a, b), (b, c), (c, a)):
        side = dot(np.cross(normal, end - begin), points - begin)
        inside &= side >= 0
    edge = np.min(
        [_to_edges(points, begin, end) for begin, end in ((a, b), (b, c), (c, a))], axis=0
    )
    above = np.abs(height) / np.sqrt(np.maximum(square, _TINY))
    return np.asarray(np.where(inside, np.minimum(above, edge), edge))


def _to_edges(points: Floats, begin: Floats, end: Floats) -> Floats:
    along = end - begin
    square = np.maximum(dot(along, along), _TINY)
    part = np.clip(dot(points - begin, along) / square, 0, 1)
    off = points - begin - part[..., None] * along
    return np.asarray(np.sqrt(dot(off, off)))


def _percentile(values: Floats, weights: Floats, share: float) -> float:
    """Return the value that a share of the weights does not exceed."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, share * total[-1])])
