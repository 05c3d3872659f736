"""Faces of the Voronoi cells of a crystal: neighbours, distances and solid angles, all sites in one tessellation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import Voronoi

#: First guess of how far the atoms must be taken along, in edges of a cube with the volume of one atom. Measured on
#: crystals of the Materials Project: enough for 99 of 100; the others are found too small, and tessellated again.
_FIRST_REACH = 3.0
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
    reach = _FIRST_REACH * (abs(np.linalg.det(lattice)) / n_sites) ** (1 / 3)
    while True:
        points, sites = _atoms_within(reach, lattice, coords)
        tessellation = Voronoi(points)
        mine = np.flatnonzero((tessellation.ridge_points < n_sites).any(axis=1))
        polygons = [tessellation.ridge_vertices[ridge] for ridge in mine]
        lengths = np.array([len(polygon) for polygon in polygons])
        vertices = np.concatenate(polygons)
        if (vertices < 0).any():  # an open cell
            reach *= 1.5
            continue
        first, second = tessellation.ridge_points[mine].T
        # A face is as far from the one site as from the other: either will do.
        corners = tessellation.vertices[vertices] - np.repeat(points[first], lengths, axis=0)
        needed = 2 * np.linalg.norm(corners, axis=1).max()
        if needed <= reach:
            break
        reach = needed * (1 + 1e-9)
    distance = np.linalg.norm(points[first] - points[second], axis=1)
    angle = _solid_angles(corners, lengths)
    here, there = first < n_sites, second < n_sites
    return Faces(
        np.concatenate([first[here], second[there]]),
        np.concatenate([sites[second[here]], sites[first[there]]]),
        np.concatenate([distance[here], distance[there]]),
        np.concatenate([angle[here], angle[there]]),
    )


def _atoms_within(reach, lattice, coords):
    """Positions and sites of all atoms within ``reach`` of one in the cell; those in the cell come first."""
    coords = coords % 1
    # Along each axis: the planes of the lattice within reach, and one more as sites are anywhere between two.
    spans = np.ceil(reach * np.linalg.norm(np.linalg.inv(lattice), axis=0)).astype(int)
    images = np.stack(np.meshgrid(*[np.arange(-s, s + 1) for s in spans], indexing="ij"), axis=-1).reshape(-1, 3)
    images = np.concatenate([np.zeros((1, 3), dtype=int), images[images.any(axis=1)]])
    centers = coords @ lattice
    points = ((images @ lattice)[:, None] + centers).reshape(-1, 3)
    sites = np.tile(np.arange(len(coords)), len(images))
    squares = _squared_distances(points, centers)
    squares[np.arange(len(coords)), np.arange(len(coords))] = np.inf
    near = squares.min(axis=1)
    # Rounding makes small distances out of zero: those that count are taken anew.
    if (close := np.flatnonzero(near < 2 * _MIN_DISTANCE**2)).size:
        for point in close:
            other = int(squares[point].argmin())
            if (apart := np.linalg.norm(points[point] - centers[other])) < _MIN_DISTANCE:
                raise ValueError(
                    f"sites {min(other, sites[point])} and {max(other, sites[point])} are {apart:.3g} angstrom apart, "
                    f"less than {_MIN_DISTANCE}: remove a site written twice, or check the coordinates and the lattice"
                )
    keep = near <= reach**2
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
