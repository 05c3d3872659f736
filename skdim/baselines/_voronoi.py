"""Faces of the Voronoi cells of a crystal: neighbours, distances and solid angles, all sites in one tessellation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import QhullError, Voronoi

from .._geometry.lattice import minkowski_reduced

#: First guess of how far the atoms must be taken along, in edges of a cube with the volume of one atom. Measured on
#: crystals of the Materials Project: enough for 99 of 100; the others are found too small, and tessellated again.
_FIRST_REACH = 3.0
#: What is a little more than 1.
_ROUND = 1 + 1e-9
#: Sites nearer than this, in angstrom, are one site written twice, as for SiteNetFeaturizer.
_MIN_DISTANCE = 0.5


class Faces(NamedTuple):
    """One entry a face and side: a face between two sites of the cell is there twice.

    Attributes
    ----------
    center, neighbour : ndarray of int
        Sites on this and on the other side; the neighbour is a periodic image of that site.
    distance : ndarray of float
        Between the two, in angstrom.
    solid_angle : ndarray of float
        Of the face, seen from the center; those of one center sum to 4 pi.
    """

    center: np.ndarray
    neighbour: np.ndarray
    distance: np.ndarray
    solid_angle: np.ndarray


def voronoi_faces(lattice, coords):
    """Tessellate a crystal.

    The result is that of the infinite crystal. A cell's neighbours are within twice the distance from its site to its
    farthest vertex: more atoms are taken along until they reach that far.

    Parameters
    ----------
    lattice : ndarray of shape (3, 3)
        Rows are the vectors, in angstrom.
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
    # In a basis of short vectors few images reach far enough.
    basis = minkowski_reduced(np.asarray(lattice, dtype=float))
    coords = coords @ lattice @ np.linalg.inv(basis) % 1
    reach = _FIRST_REACH * (abs(np.linalg.det(basis)) / n_sites) ** (1 / 3)
    # No point is farther from the nearest site than half the way along all three vectors.
    enough = np.linalg.norm(basis, axis=1).sum() * _ROUND
    while True:
        points, sites = _atoms_within(reach, basis, coords)
        (first, second), corners, lengths, needed = _tessellate(points, n_sites)
        if needed <= reach:
            break
        if reach >= enough:
            raise ValueError("its sites have no Voronoi tessellation: check the coordinates and the lattice")
        # Cells that are barely closed may ask for thousands of angstrom.
        reach = min(needed * _ROUND, 2 * reach, enough)
    distance = np.linalg.norm(points[first] - points[second], axis=1)
    angle = _solid_angles(corners, lengths)
    here, there = first < n_sites, second < n_sites
    return Faces(
        np.concatenate([first[here], second[there]]),
        np.concatenate([sites[second[here]], sites[first[there]]]),
        np.concatenate([distance[here], distance[there]]),
        np.concatenate([angle[here], angle[there]]),
    )


def _tessellate(points, n_sites):
    """Faces of the cells around the first points: both sides, corners as seen from the first side, corners a face.

    The last value is how far around each of the first points others must have been taken along.
    """
    try:
        tessellation = Voronoi(points)
    except QhullError:  # too few points, or all in one plane
        return (None, None), None, None, np.inf
    mine = np.flatnonzero((tessellation.ridge_points < n_sites).any(axis=1))
    polygons = [tessellation.ridge_vertices[ridge] for ridge in mine]
    first, second = ends = tessellation.ridge_points[mine].T
    vertices = np.array([vertex for polygon in polygons for vertex in polygon], dtype=np.int64)
    lengths = np.array([len(polygon) for polygon in polygons])
    if len(np.union1d(first, second)) < n_sites or (vertices < 0).any():  # a cell that is missing, or open
        return ends, None, lengths, np.inf
    # A face is as far from the one side as from the other: either will do.
    corners = tessellation.vertices[vertices] - np.repeat(points[first], lengths, axis=0)
    return ends, corners, lengths, 2 * np.linalg.norm(corners, axis=1).max()


def _atoms_within(reach, lattice, coords):
    """Positions and sites of all atoms within ``reach`` of one in the cell; those in the cell come first."""
    # Along each axis: the planes of the lattice within reach, and one more as sites are anywhere between two.
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
            f"{_MIN_DISTANCE} angstrom apart: remove a site written twice, or check the coordinates and the lattice"
        )
    keep = nearest <= reach**2
    keep[: len(coords)] = True
    return points[keep], sites[keep]


def _squared_distances(points, centers):
    squares = np.einsum("ij,ij->i", points, points)[:, None] + np.einsum("ij,ij->i", centers, centers)
    return squares - 2 * points @ centers.T


def _solid_angles(corners, lengths):
    """Solid angles at the origin of convex polygons, laid flat, by van Oosterom and Strackee's formula for triangles.

    IEEE Transactions on Biomedical Engineering 1983, 10.1109/TBME.1983.325207.
    """
    starts = np.cumsum(lengths) - lengths
    # Triangles from the first corner of each polygon to each edge that does not touch it.
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
