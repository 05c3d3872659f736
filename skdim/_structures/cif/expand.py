"""Atoms of the asymmetric unit -> sites of the cell: special positions, and sites that several rows share."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import ReadError, join_names
from ..limits import MAX_SITES, OCCUPANCY_TOL

#: Angstrom. Atoms this close are at one site.
_SAME = 0.01
#: Angstrom. Below the precision of any coordinates in files.
_EXACT = 1e-5
#: Angstrom. Largest distance between images of one atom due to rounding, for full atoms and for others.
_MOST_ROUNDED, _MOST_ROUNDED_PARTLY = 0.3, 0.1
#: Angstrom. A full atom and its image this close are one atom, near a special position, for any number of digits.
_ONE_ATOM = 0.1
#: Up to this many sites, all pairs are compared; more are searched with a k-d tree.
_FEW = 300
#: Rows that may share a site.
_MOST_SHARED = 32


@dataclass
class Cell:
    """All sites of a cell.

    Attributes
    ----------
    coords : ndarray of shape (n_sites, 3)
        Fractional, from 0 to 1.
    rows : list of list of int
        Atom rows at each site.
    orbit_sizes : list of int
        Number of different images of each atom row.
    counts : list of int
        Number of sites of each atom row: all of its images, or 0 if it repeats another row.
    warnings : list of str
    """

    coords: np.ndarray
    rows: list
    orbit_sizes: list
    counts: list
    warnings: list = field(default_factory=list)


def expand(atoms, group, lattice):
    """Apply the symmetry operations to the atoms.

    Parameters
    ----------
    atoms : list of Atom
    group : Group
    lattice : ndarray of shape (3, 3)
        Rows are the vectors of the cell, in angstrom.

    Returns
    -------
    Cell

    Raises
    ------
    ReadError
        If there are too many sites, or two rows that contradict each other.
    """
    if len(atoms) * len(group) > 200 * MAX_SITES:
        raise _too_many(atoms, group)
    positions = np.array([atom.position for atom in atoms])
    images = group.images(positions)
    warnings: list[str] = []
    parts, owners = [], []
    if len(group) > 1:
        shifts = images - positions[:, None]
        shifts -= np.rint(shifts)
        shifts = shifts @ lattice
        distances = np.sqrt(np.einsum("ngi,ngi->ng", shifts, shifts))
        limits = _limits(atoms, lattice)
        near = distances <= limits[:, None]
        for k, count in enumerate(near.sum(axis=1)):
            if count > 1:
                if distances[k][near[k]].max() < _EXACT:
                    parts.append(images[k][_different(atoms[k], group, np.flatnonzero(near[k]), limits[k])])
                else:
                    snapped, different = _special(atoms[k], positions[k], group, lattice, limits[k])
                    _warn_if_moved(atoms[k], positions[k], snapped, lattice, warnings)
                    parts.append(group.rotations[different] @ snapped + group.translations[different])
            else:
                parts.append(images[k])
            owners += [k] * len(parts[-1])
            if len(owners) > MAX_SITES:
                break
        coords = np.concatenate(parts)
    else:
        coords, owners = images[:, 0], list(range(len(atoms)))
    if len(owners) > MAX_SITES:
        raise _too_many(atoms, group)
    coords = coords - np.floor(coords)
    coords[coords >= 1] = 0
    sizes = np.bincount(owners, minlength=len(atoms)).tolist()
    coords, rows, repeated = _merge(coords, np.array(owners), sizes, atoms, lattice, warnings)
    counts = [0 if row in repeated else size for row, size in enumerate(sizes)]
    return Cell(coords, rows, sizes, counts, warnings)


def _too_many(atoms, group):
    return ReadError(
        f"it lists {len(atoms)} atoms under {len(group)} symmetry operations, which give more than {MAX_SITES} sites: "
        "pass a smaller cell"
    )


def _limits(atoms, lattice):
    """Distance up to which an image of each atom counts as the atom itself."""
    edges = np.sqrt(np.square(lattice).sum(axis=1))
    rounding = 2.5 * np.sqrt(np.square(np.array([atom.units for atom in atoms]) * edges).sum(axis=1))
    full = np.array([atom.occupancy > 0.5 + OCCUPANCY_TOL for atom in atoms])
    return np.where(full, np.clip(rounding, _ONE_ATOM, _MOST_ROUNDED), np.clip(rounding, _SAME, _MOST_ROUNDED_PARTLY))


def _special(atom, position, group, lattice, limit):
    """The special position near an atom, and the operations of its images."""
    for _ in range(4):
        shifts = group.rotations @ position + group.translations - position
        shifts -= np.rint(shifts)
        fixing = np.flatnonzero(np.sqrt(np.square(shifts @ lattice).sum(axis=1)) <= limit)
        step = shifts[fixing].mean(axis=0)
        position = position + step
        if np.abs(step).max() < 1e-12:
            break
    return position, _different(atom, group, fixing, limit)


def _different(atom, group, fixing, limit):
    """One operation for each different image of an atom that the operations ``fixing`` leave unmoved."""
    different = group.cosets(tuple(fixing.tolist()))
    if len(different) * len(fixing) != len(group):
        raise ReadError(
            f"atom '{atom.name}' is less than {limit:.2g} angstrom from its own images, and near no special position: "
            "write its coordinates with more digits"
        )
    return different


def _warn_if_moved(atom, before, after, lattice, warnings):
    step = after - before
    if (np.abs(step) > np.maximum(1.01 * np.array(atom.units), 1e-9)).any():
        distance = np.sqrt(np.square(step @ lattice).sum())
        if distance > _SAME:
            warnings.append(f"atom '{atom.name}' was moved by {distance:.2g} angstrom to the special position near it")


def _merge(coords, owners, sizes, atoms, lattice, warnings):
    """Merge sites at one position into one site of several rows; rows that repeat another row are left out."""
    pairs = _close_pairs(coords, sizes, lattice)
    rows = [[owner] for owner in owners.tolist()]
    if not len(pairs):
        return coords, rows, {}
    parent = list(range(len(coords)))

    def root(k):
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = parent[k]
        return k

    for i, j in pairs:
        a, b = sorted((root(int(i)), root(int(j))))
        if sizes[owners[i]] != sizes[owners[j]]:
            raise ReadError(
                f"atoms '{atoms[owners[i]].name}' and '{atoms[owners[j]].name}' are at one place, but symmetry gives "
                f"{sizes[owners[i]]} and {sizes[owners[j]]} of them: write their coordinates alike"
            )
        parent[b] = a
    shared: dict = {}
    for k in range(len(coords)):
        shared.setdefault(root(k), []).append(k)
    repeated: dict = {}
    keep, merged = [], []
    for first, members in shared.items():
        at_site = list(dict.fromkeys(int(owners[k]) for k in members))
        if sum(atoms[row].occupancy for row in at_site) > 1 + len(at_site) * OCCUPANCY_TOL:
            if len({atoms[row].kind.symbol for row in at_site}) > 1 or any(atoms[row].occupancy < 1 for row in at_site):
                names = join_names(f"'{atoms[row].name}'" for row in at_site)
                raise ReadError(f"atoms {names} share a site, and their occupancies sum to more than 1: correct them")
            for row in at_site[1:]:
                repeated[row] = at_site[0]
            at_site = at_site[:1]
        keep.append(first)
        merged.append(at_site)
    if repeated:
        names = ", ".join(f"'{atoms[b].name}' (as '{atoms[a].name}')" for b, a in repeated.items())
        warnings.append(f"atoms that are at the place of an equal one are counted once: {names}")
    return coords[keep], merged, repeated


def _close_pairs(coords, sizes, lattice):
    """Pairs of sites of different rows at one position."""
    # Two orbits are equal or disjoint: it is enough to compare the first site of each row.
    firsts = np.cumsum([0, *sizes[:-1]])
    inverse = np.linalg.inv(lattice)
    reach = _SAME * np.sqrt(np.square(inverse).sum(axis=0))
    if len(firsts) * len(coords) <= _FEW**2:
        shifts = coords[firsts, None] - coords
        shifts -= np.rint(shifts)
        # Rough first: most are far apart along some axis.
        near = (np.abs(shifts) <= reach).all(axis=2)
        if near.sum() == len(firsts):
            return np.zeros((0, 2), dtype=np.int64)
    from scipy.spatial import cKDTree

    reach = float(reach.max())
    tree = cKDTree(coords, boxsize=1.0)
    if reach >= 0.25 or tree.query_ball_point(coords, reach, p=np.inf, return_length=True).max() > _MOST_SHARED:
        raise ReadError(f"more than {_MOST_SHARED} of its atoms are at one place, or its cell is flat: correct it")
    pairs = tree.query_pairs(reach, p=np.inf, output_type="ndarray")
    shifts = coords[pairs[:, 0]] - coords[pairs[:, 1]]
    shifts -= np.rint(shifts)
    return pairs[np.square(shifts @ lattice).sum(axis=1) <= _SAME**2]
