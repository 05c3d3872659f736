"""A unit cell as spheres, bonds and edges in a plane: what to draw, and where."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._chemistry.elements import SYMBOLS, element_table

#: Atoms this close to a face of the cell, in fractional coordinates, are repeated on the opposite face.
_ON_FACE = 0.02
#: Bonds are at most this times the sum of the covalent radii, and this times the larger of the distances of both sites
#: to their nearest neighbours.
_BOND, _NEAREST = 1.2, 1.15
#: Sites closer than this, in angstrom, are the same.
_SAME = 0.1
#: Radius of a drawn sphere relative to the covalent radius.
_SPHERE = 0.42
#: Pieces of an edge of the cell; those inside of spheres are not drawn.
_PIECES = 24


class Drawing(NamedTuple):
    """A cell seen along an axis, in angstrom; larger depths are nearer to the viewer.

    Attributes
    ----------
    site : ndarray of int of shape (n_atoms,)
        Site of each atom; atoms on faces, edges and corners of the cell are repeated.
    positions : ndarray of shape (n_atoms, 2)
    depth : ndarray of shape (n_atoms,)
    radius : ndarray of shape (n_atoms,)
    bonds : ndarray of shape (n_bonds, 2, 2)
        Ends of each bond, on the surfaces of the spheres.
    bond_depth : ndarray of shape (n_bonds,)
    edges : ndarray of shape (n_pieces, 2, 2)
        Ends of the pieces of the cell's edges that are outside of the spheres.
    edge_depth : ndarray of shape (n_pieces,)
    """

    site: np.ndarray
    positions: np.ndarray
    depth: np.ndarray
    radius: np.ndarray
    bonds: np.ndarray
    bond_depth: np.ndarray
    edges: np.ndarray
    edge_depth: np.ndarray


def draw_cell(lattice, fractional, numbers, elevation, azimuth):
    """Project a cell onto the plane that a viewer at these angles, in degrees, sees.

    Parameters
    ----------
    lattice : ndarray of shape (3, 3)
        Lattice vectors in angstrom, one per row.
    fractional : ndarray of shape (n_sites, 3)
    numbers : ndarray of int of shape (n_sites,)
        Atomic numbers.
    elevation, azimuth : float
        As in matplotlib's ``view_init``.

    Returns
    -------
    Drawing
    """
    covalent = element_table(["covalent_radius"], scaled=False)[:, 0][numbers]
    site, inside = _with_repeated_faces(np.mod(np.round(fractional, 6), 1.0))
    axes = _view(elevation, azimuth)
    corners = np.array([(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=float)
    centre = np.full(3, 0.5) @ lattice
    atoms = (inside @ lattice - centre) @ axes.T
    ends = (corners @ lattice - centre) @ axes.T
    # Corners that differ in one coordinate are the ends of an edge.
    first, second = np.nonzero(np.triu(np.abs(corners[:, None] - corners[None]).sum(axis=2) == 1))
    edges = _edges(ends[first], ends[second], atoms, _SPHERE * covalent[site])
    bonds = _bonds(atoms, covalent[site], _nearest(lattice, fractional)[site])
    return Drawing(
        site,
        atoms[:, :2],
        atoms[:, 2],
        _SPHERE * covalent[site],
        bonds[..., :2],
        bonds[..., 2].mean(axis=1),
        edges[..., :2],
        edges[..., 2].mean(axis=1),
    )


def symbol_numbers(symbols):
    """Atomic numbers of element symbols."""
    return np.array([SYMBOLS.index(symbol) for symbol in symbols])


def _view(elevation, azimuth):
    """Unit vectors to the right, up, and towards the viewer, one per row."""
    elevation, azimuth = np.deg2rad([elevation, azimuth])
    towards = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    return np.stack([right, np.cross(towards, right), towards])


def _with_repeated_faces(fractional):
    """Sites and fractional coordinates of all atoms in the closed cell."""
    site, place = np.arange(len(fractional)), fractional
    for axis in range(3):
        for near, shift in ((place[:, axis] < _ON_FACE, 1.0), (place[:, axis] > 1 - _ON_FACE, -1.0)):
            repeated = place[: len(near)][near].copy()
            repeated[:, axis] += shift
            site, place = np.concatenate([site, site[: len(near)][near]]), np.concatenate([place, repeated])
    return site, place


def _edges(starts, ends, atoms, radius):
    """Pieces of lines outside of spheres, (n_pieces, 2, 3)."""
    points = np.linspace(starts, ends, _PIECES + 1)
    pieces = np.stack([points[:-1], points[1:]], axis=2).reshape(-1, 2, 3)
    distance = np.linalg.norm(pieces.mean(axis=1)[:, None] - atoms[None], axis=2)
    return pieces[(distance > radius).all(axis=1)]


def _nearest(lattice, fractional):
    """Distance of each site to its nearest neighbour, in cells around its own."""
    shifts = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)], dtype=float)
    nearest = np.full(len(fractional), np.inf)
    for shift in shifts:
        between = (fractional[None] - fractional[:, None] + shift) @ lattice
        distance = np.linalg.norm(between, axis=2)
        distance[distance < _SAME] = np.inf
        nearest = np.minimum(nearest, distance.min(axis=1))
    return nearest


def _bonds(atoms, covalent, nearest):
    """Ends of the bonds between atoms, on the surfaces of their spheres, (n_bonds, 2, 3)."""
    between = atoms[None] - atoms[:, None]
    distance = np.linalg.norm(between, axis=2)
    longest = np.minimum(_BOND * np.add.outer(covalent, covalent), _NEAREST * np.maximum.outer(nearest, nearest))
    first, second = np.nonzero(np.triu((distance > _SAME) & (distance < longest), 1))
    step = between[first, second] / distance[first, second][:, None]
    starts = atoms[first] + _SPHERE * covalent[first][:, None] * step
    ends = atoms[second] - _SPHERE * covalent[second][:, None] * step
    return np.stack([starts, ends], axis=1)
