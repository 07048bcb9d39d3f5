"""Distances between two surfaces, weighted by area."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from drawcli.core.qa.axes import Floats, dot
from drawcli.core.qa.surfaces import Surface

_NEAREST: Final = 4  # quads by their centres, among which the nearest is looked for
_AT_ONCE: Final = 4_000  # samples: what fits into the cache is fastest
_TINY: Final = 1e-18
_ROUNDING_MM: Final = 1e-6


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
    directed = [(_directed(one.samples, other.quads), one.areas) for one, other in ((a, b), (b, a))]
    within = sum(float(weight[away <= tau_mm + _ROUNDING_MM].sum()) for away, weight in directed)
    total = sum(float(weight.sum()) for _, weight in directed)
    return SurfaceDistances(
        hd=max(float(away.max()) for away, _ in directed),
        hd95=max(_percentile(away, weight, 0.95) for away, weight in directed),
        mean=sum(float(away @ weight / weight.sum()) for away, weight in directed) / 2,
        surface_dice=within / total,
    )


def _directed(samples: Floats, quads: Floats) -> Floats:
    """Return the distance of each sample of a surface to the other surface, mm."""
    from scipy.spatial import cKDTree

    tree, halves = cKDTree(quads.mean(axis=1)), _halves(quads)
    many = min(_NEAREST, len(quads))
    away = np.empty(len(samples))
    for first in range(0, len(samples), _AT_ONCE):
        part = samples[first : first + _AT_ONCE]
        _, near = tree.query(part, many)
        both = (2 * near.reshape(-1, 1) + (0, 1)).ravel()
        square = _squares(np.repeat(part.T, 2 * many, axis=1), halves[:, both])
        away[first : first + _AT_ONCE] = square.reshape(len(part), -1).min(axis=1)
    return np.sqrt(away)


def _halves(quads: Floats) -> Floats:
    """Return quads as two triangles each: a corner, the edges from it, products of the edges."""
    corner = np.repeat(quads[:, 0], 2, axis=0)
    u = quads[:, [1, 2]].reshape(-1, 3) - corner
    v = quads[:, [2, 3]].reshape(-1, 3) - corner
    products = np.stack([dot(u, u), dot(u, v), dot(v, v)])
    return np.concatenate([corner.T, u.T, v.T, products])


def _squares(points: Floats, triangles: Floats) -> Floats:
    """Return the squares of the distances of points to triangles.

    Parameters
    ----------
    points, triangles
        3 x n; 12 x n, see `_halves`.

    References
    ----------
    Ericson 2005, Real-Time Collision Detection, 5.1.5 (closest point on a triangle).
    """
    to, u, v, (uu, uv, vv) = (points - triangles[:3], *np.split(triangles[3:], 3))
    tu, tv, tt = (to * u).sum(axis=0), (to * v).sum(axis=0), (to * to).sum(axis=0)
    square = np.minimum(_to_edge(tt, tu, uu), _to_edge(tt, tv, vv))
    third = _to_edge(tt - 2 * tu + uu, tv - tu - uv + uu, uu - 2 * uv + vv)
    np.minimum(square, third, out=square)
    whole = uu * vv - uv * uv
    part_u, part_v = vv * tu - uv * tv, uu * tv - uv * tu
    above = (part_u >= 0) & (part_v >= 0) & (part_u + part_v <= whole) & (whole > _TINY)
    height = tt - (part_u * tu + part_v * tv) / np.where(above, whole, 1.0)
    return np.asarray(np.maximum(np.where(above, height, square), 0.0))


def _to_edge(square: Floats, along: Floats, length: Floats) -> Floats:
    """Return the squares of the distances to edges.

    Parameters
    ----------
    square, along
        The square of the vector from the edge's begin to the point, its product with the edge.
    length
        The square of the edge.
    """
    part = np.clip(along / np.maximum(length, _TINY), 0, 1)
    return np.asarray(square - part * (2 * along - part * length))


def _percentile(values: Floats, weights: Floats, share: float) -> float:
    """Return the value that a share of the weights does not exceed."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, share * total[-1])])
