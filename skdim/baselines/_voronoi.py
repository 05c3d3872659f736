"""Voronoi faces of a crystal: neighbours, distances and solid angles of all sites from one tessellation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import QhullError, Voronoi

from .._geometry.lattice import minkowski_reduced

#: Initial cutoff radius in units of the edge of a cube with the volume per atom. It is enough for 99 of 100 crystals
#: of the Materials Project; others are detected and tessellated again with a larger radius.
_FIRST_REACH = 3.0
#: Slightly more than 1.
_ROUND = 1 + 1e-9
#: Minimum distance of sites in angstrom, as in SiteNetFeaturizer: closer sites are duplicates.
_MIN_DISTANCE = 0.5


class Faces(NamedTuple):
    """Voronoi faces, one entry per side: a face between two sites of the cell has two entries.

    Attributes
    ----------
    center, neighbour : ndarray of int
        Sites on this side and the other side; the neighbour may be a periodic image.
    distance : ndarray of float
        Between the two, in angstrom.
    solid_angle : ndarray of float
        Solid angle of the face, seen from the center; those of one center sum to 4 pi.
    """

    center: np.ndarray
    neighbour: np.ndarray
    distance: np.ndarray
    solid_angle: np.ndarray


def voronoi_faces(lattice, coords):
    """Tessellate a crystal.

    The result is that of the infinite crystal. The neighbours of a cell are within twice the distance from its site to
    its farthest vertex: the cutoff radius is increased until it is that large.

    Parameters
    ----------
    lattice : ndarray of shape (3, 3)
        Lattice vectors as rows, in angstrom.
    coords : ndarray of shape (n_sites, 3)
        Fractional coordinates.

    Returns
    -------
    Faces

    Raises
    ------
    ValueError
        If two sites coincide.
    """
    n_sites = len(coords)
    # A reduced basis needs the fewest images.
    basis = minkowski_reduced(np.asarray(lattice, dtype=float))
    coords = coords @ lattice @ np.linalg.inv(basis) % 1
    reach = _FIRST_REACH * (abs(np.linalg.det(basis)) / n_sites) ** (1 / 3)
    # No point is farther from a site than half the sum of the lengths of the lattice vectors.
    enough = np.linalg.norm(basis, axis=1).sum() * _ROUND
    while True:
        points, sites = _atoms_within(reach, basis, coords)
        (first, second), corners, lengths, needed = _tessellate(points, n_sites)
        if needed <= reach:
            break
        if reach >= enough:
            raise ValueError("its sites have no Voronoi tessellation: check the coordinates and the lattice")
        # Cells that are barely closed may require thousands of angstrom.
        reach = min(needed * _ROUND, 2 * reach, enough)
    distance = np.linalg.norm(points[first] - points[second], axis=1)
    angle = _solid_angles(corners, lengths)
    inside, outside = first < n_sites, second < n_sites
    return Faces(
        np.concatenate([first[inside], second[outside]]),
        np.concatenate([sites[second[inside]], sites[first[outside]]]),
        np.concatenate([distance[inside], distance[outside]]),
        np.concatenate([angle[inside], angle[outside]]),
    )


def _tessellate(points, n_sites):
    """Faces of the cells of the first points: ends, corners relative to the first end, and corners per face.

    The last value is the cutoff radius that these cells require.
    """
    try:
        tessellation = Voronoi(points)
    except QhullError:  # too few points, or all in one plane
        return (None, None), None, None, np.inf
    ridges = np.flatnonzero((tessellation.ridge_points < n_sites).any(axis=1))
    polygons = [tessellation.ridge_vertices[ridge] for ridge in ridges]
    first, second = ends = tessellation.ridge_points[ridges].T
    vertices = np.array([vertex for polygon in polygons for vertex in polygon], dtype=np.int64)
    lengths = np.array([len(polygon) for polygon in polygons])
    if len(np.union1d(first, second)) < n_sites or (vertices < 0).any():  # a cell is missing or open
        return ends, None, lengths, np.inf
    # The distances from both ends to a corner are equal.
    corners = tessellation.vertices[vertices] - np.repeat(points[first], lengths, axis=0)
    return ends, corners, lengths, 2 * np.linalg.norm(corners, axis=1).max()


def _atoms_within(reach, lattice, coords):
    """Positions and sites of all atoms within ``reach`` of an atom in the cell, which come first."""
    # Along each axis: lattice planes within reach, and one more, as sites are anywhere between planes.
    spans = np.ceil(reach * np.linalg.norm(np.linalg.inv(lattice), axis=0)).astype(int)
    images = np.stack(np.meshgrid(*[np.arange(-s, s + 1) for s in spans], indexing="ij"), axis=-1).reshape(-1, 3)
    images = np.concatenate([np.zeros((1, 3), dtype=int), images[images.any(axis=1)]])
    centers = coords @ lattice
    points = ((images @ lattice)[:, None] + centers).reshape(-1, 3)
    sites = np.tile(np.arange(len(coords)), len(images))
    squares = _squared_distances(points, centers)
    np.fill_diagonal(squares, np.inf)  # an atom and itself
    nearest = squares.min(axis=1)
    point = nearest.argmin()
    if nearest[point] < _MIN_DISTANCE**2:
        pair = sorted({int(sites[point]), int(squares[point].argmin())})
        raise ValueError(
            f"{'sites' if len(pair) == 2 else 'periodic images of site'} {' and '.join(map(str, pair))} are less than "
            f"{_MIN_DISTANCE} angstrom apart: remove duplicate sites, or check the coordinates and the lattice"
        )
    keep = nearest <= reach**2
    keep[: len(coords)] = True
    return points[keep], sites[keep]


def _squared_distances(points, centers):
    squares = np.einsum("ij,ij->i", points, points)[:, None] + np.einsum("ij,ij->i", centers, centers)
    return squares - 2 * points @ centers.T


def _solid_angles(corners, lengths):
    """Solid angles at the origin of convex polygons, concatenated, by the formula of van Oosterom and Strackee.

    IEEE Transactions on Biomedical Engineering 1983, 10.1109/TBME.1983.325207.
    """
    starts = np.cumsum(lengths) - lengths
    # Triangles of the first corner of each polygon and each edge that does not touch it.
    counts = lengths - 2
    polygon = np.repeat(np.arange(len(lengths)), counts)
    edge = np.arange(len(polygon)) - np.repeat(np.cumsum(counts) - counts, counts) + starts[polygon] + 1
    a, b, c = corners[starts[polygon]], corners[edge], corners[edge + 1]

    def dot(x, y):
        return np.einsum("ij,ij->i", x, y)

    A, B, C = (np.sqrt(dot(x, x)) for x in (a, b, c))
    volume = np.abs(dot(a, np.cross(b, c)))
    angles = 2 * np.arctan2(volume, A * B * C + dot(a, b) * C + dot(a, c) * B + dot(b, c) * A)
    return np.bincount(polygon, angles, minlength=len(lengths))
