"""Synthetic crystals with a target that is a known function of the structure."""

from __future__ import annotations

from itertools import product
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from .._chemistry.elements import SYMBOLS, element_table

# Elements by usual charge. Prototypes are filled so that charges balance; 0 stands for any metal.
_IONS = {
    1: "Li Na K Rb Cs Ag",
    2: "Mg Ca Sr Ba Mn Fe Co Ni Zn Cd",
    3: "Al Ga In Sc Y La Cr",
    4: "Ti Zr Hf Sn",
    5: "V Nb Ta",
    -1: "F Cl Br I",
    -2: "O S Se Te",
    -3: "N P As",
}
_IONS[0] = " ".join(symbols for charge, symbols in _IONS.items() if charge > 0)
_IONS[-4] = " ".join(symbols for charge, symbols in _IONS.items() if charge < 0)
_ANY_METAL, _ANY_NONMETAL = 0, -4


class _Prototype(NamedTuple):
    """A structure type: cell in units of its edge a, sites, role of each site, and possible charges of the roles."""

    cell: np.ndarray
    frac_coords: list
    roles: list
    charges: list


_CUBIC = np.eye(3)
_FCC = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
_BCC = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]) / 2
_HEXAGONAL = np.array([[1, 0, 0], [-1 / 2, np.sqrt(3 / 4), 0], [0, 0, np.sqrt(8 / 3)]])
_TETRAGONAL = np.diag([1, 1, 0.65])
_AB = [(1, -1), (2, -2), (3, -3)]
_AX2 = [(2, -1), (4, -2)]
_ABX3 = [(1, 2, -1), (2, 4, -2), (1, 5, -2), (3, 3, -2)]
_U = 0.305  # the free coordinate of oxygen in rutile

_PROTOTYPES = {
    "rock salt": _Prototype(_FCC, [[0, 0, 0], [1 / 2] * 3], [0, 1], _AB),
    "CsCl": _Prototype(_CUBIC, [[0, 0, 0], [1 / 2] * 3], [0, 1], _AB),
    "zinc blende": _Prototype(_FCC, [[0, 0, 0], [1 / 4] * 3], [0, 1], _AB),
    "wurtzite": _Prototype(
        _HEXAGONAL,
        [[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 1 / 2], [1 / 3, 2 / 3, 3 / 8], [2 / 3, 1 / 3, 7 / 8]],
        [0, 0, 1, 1],
        _AB,
    ),
    "fluorite": _Prototype(_FCC, [[0, 0, 0], [1 / 4] * 3, [3 / 4] * 3], [0, 1, 1], _AX2),
    "rutile": _Prototype(
        _TETRAGONAL,
        [
            [0, 0, 0],
            [1 / 2, 1 / 2, 1 / 2],
            [_U, _U, 0],
            [1 - _U, 1 - _U, 0],
            [1 / 2 + _U, 1 / 2 - _U, 1 / 2],
            [1 / 2 - _U, 1 / 2 + _U, 1 / 2],
        ],
        [0, 0, 1, 1, 1, 1],
        _AX2,
    ),
    "perovskite": _Prototype(
        _CUBIC,
        [[0, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, 1 / 2, 0], [1 / 2, 0, 1 / 2], [0, 1 / 2, 1 / 2]],
        [0, 1, 2, 2, 2],
        _ABX3,
    ),
    "fcc": _Prototype(_FCC, [[0, 0, 0]], [0], [(_ANY_METAL,)]),
    "bcc": _Prototype(_BCC, [[0, 0, 0]], [0], [(_ANY_METAL,)]),
    "hcp": _Prototype(_HEXAGONAL, [[1 / 3, 2 / 3, 1 / 4], [2 / 3, 1 / 3, 3 / 4]], [0, 0], [(_ANY_METAL,)]),
}
_MAX_RANDOM_SITES = 8
_N_POSITIONS = 20
_SQUEEZE = 0.75  # random packings are loose: smaller atoms give a volume like that of the structure types
_IMAGES = np.array(list(product(range(-2, 3), repeat=3)))

# Together these keep atoms at least 1.2 angstrom apart: 1.6 * 0.95 in the ideal crystal, less 9 % by strain (three
# components of 3 %), less 0.17 for two displacements of 0.05 along each axis.
_MIN_CONTACT = 1.6
_SCALES = (0.95, 1.15)
_MAX_STRAIN = 0.03
_MAX_DISPLACEMENT = 0.05


def make_crystals(
    n_crystals=100, random_state=None, *, noise=0.0, max_sites=20, return_prototypes=False
) -> tuple[Any, ...]:
    """Make synthetic crystals with a target that is a known function of the structure.

    A crystal is one of ten structure types (rock salt, CsCl, zinc blende, wurtzite, fluorite, rutile, perovskite and
    elemental fcc, bcc, hcp), filled with elements whose charges balance, or a triclinic cell with random elements at
    random positions. Atomic radii determine the size. About half of the crystals of a structure type are ideal; the
    others, some of them supercells, are strained and have displaced atoms, so that no symmetry is left. Origin and
    order of sites are random.

    The target of a crystal is::

        0.02 V / M - mean over its sites i of (χ(i) - χ(j))² + noise · N(0, 1)

    with the Pauling electronegativity χ, the nearest neighbour j of site i in the periodic crystal, and the volume V of
    the cell, in cubic angstrom, over its number of sites M. The first term depends on the packing; the second follows
    Pauling's ionic bond energy and depends on which atoms are neighbours. Neither depends on the choice of cell.

    Parameters
    ----------
    n_crystals : int, default=100
        Number of crystals. Formulas are unique within a structure type. Large numbers use up the formulas, first those
        of the elements, and more of the crystals are triclinic.
    random_state : int, RandomState instance or None, default=None
        Seed of the crystals and the noise.
    noise : float, default=0.0
        Standard deviation of Gaussian noise on the target. It does not change the crystals.
    max_sites : int, default=20
        Maximum number of sites in a cell, at least 2. Structure types with more sites are not used.
    return_prototypes : bool, default=False
        Whether to return the names of the structure types as well.

    Returns
    -------
    structures : list of :class:`pymatgen.core.Structure`, length n_crystals
        The crystals; lengths in angstrom. No two atoms are closer than 1.2 angstrom.
    target : ndarray of shape (n_crystals,)
        The target.
    prototypes : ndarray of shape (n_crystals,)
        Name of the structure type, ``"random"`` for a triclinic cell. Only if ``return_prototypes=True``.

    Raises
    ------
    TypeError, ValueError
        If a parameter has the wrong type or is out of range.

    See Also
    --------
    load_formation_energy : Real crystals with their formation energy.
    load_band_gap : Real crystals with their band gap.

    Examples
    --------
    >>> from skdim.datasets import make_crystals
    >>> structures, target, prototypes = make_crystals(4, random_state=0, return_prototypes=True)
    >>> for structure, y, prototype in zip(structures, target, prototypes):
    ...     print(f"{structure.composition.reduced_formula:6}{len(structure):3} sites {y:6.2f}  {prototype}")
    BaI2   12 sites  -1.63  rutile
    TiS2    6 sites  -0.56  rutile
    CdTe    4 sites   0.29  rock salt
    LiI     2 sites  -2.32  rock salt
    """
    from pymatgen.core import Lattice, Structure
    from sklearn.utils import check_random_state, check_scalar

    check_scalar(n_crystals, "n_crystals", Integral, min_val=1)
    check_scalar(noise, "noise", Real, min_val=0)
    if not noise < float("inf"):  # check_scalar accepts NaN
        raise ValueError(f"noise == {noise}, must be finite.")
    check_scalar(max_sites, "max_sites", Integral, min_val=2)
    rng = check_random_state(random_state)
    radii, electronegativities = element_table(("atomic_radius", "electronegativity"), scaled=False).T
    ions = {charge: [SYMBOLS.index(symbol) for symbol in symbols.split()] for charge, symbols in _IONS.items()}

    structures: list[Structure] = []
    target, prototypes = [], []
    seen: set[tuple] = set()
    while len(structures) < n_crystals:
        name, atomic_numbers, cell, frac_coords = _draw_crystal(rng, ions, radii, max_sites)
        # Triclinic cells never repeat, so that this ends for any number of crystals.
        key = (name, *sorted(set(atomic_numbers)), len(seen) if name == "random" else 0)
        if key in seen:
            continue
        seen.add(key)
        order = rng.permutation(len(atomic_numbers))
        atomic_numbers, frac_coords = atomic_numbers[order], (frac_coords[order] + rng.uniform(size=3)) % 1
        target.append(_target(cell, frac_coords, electronegativities[atomic_numbers]))
        structures.append(Structure(Lattice(cell), atomic_numbers.tolist(), frac_coords))
        prototypes.append(name)

    # Drawn last, so that noise does not change the crystals.
    target = np.array(target) + noise * rng.normal(size=n_crystals)
    return (structures, target, np.array(prototypes)) if return_prototypes else (structures, target)


def _draw_crystal(rng, ions, radii, max_sites):
    """Return the structure type, atomic numbers, cell in angstrom and fractional coordinates of a new crystal."""
    names = [name for name, prototype in _PROTOTYPES.items() if len(prototype.roles) <= max_sites]
    name = [*names, "random"][rng.randint(len(names) + 1)]
    if name == "random":
        radii = _SQUEEZE * radii
        atomic_numbers, cell, frac_coords = _draw_triclinic(rng, ions, radii, max_sites)
    else:
        prototype = _PROTOTYPES[name]
        cell, frac_coords = np.array(prototype.cell), np.array(prototype.frac_coords)
        charges = prototype.charges[rng.randint(len(prototype.charges))]
        atomic_numbers = _draw_species(rng, ions, charges)[prototype.roles]

    contacts = _contacts(radii[atomic_numbers])
    cell = cell * (contacts / _nearest_images(cell, frac_coords)).max() * rng.uniform(*_SCALES)
    if name != "random" and rng.uniform() < 0.5:
        atomic_numbers, cell, frac_coords = _distort(rng, atomic_numbers, cell, frac_coords, max_sites)
    return name, atomic_numbers, cell, frac_coords


def _draw_species(rng, ions, charges):
    """Return an atomic number for each charge, no two the same."""
    drawn = []
    for charge in charges:
        drawn.append(rng.choice([number for number in ions[charge] if number not in drawn]))
    return np.array(drawn)


def _draw_triclinic(rng, ions, radii, max_sites):
    n_sites = rng.randint(2, min(_MAX_RANDOM_SITES, max_sites) + 1)
    charges = [_ANY_METAL, _ANY_NONMETAL, _ANY_METAL][: min(rng.randint(2, 4), n_sites)]
    species = _draw_species(rng, ions, charges)
    atomic_numbers = np.concatenate([species, rng.choice(species, n_sites - len(species))])

    a, b, c = rng.uniform(0.8, 1.25, size=3)
    cos_alpha, cos_beta, cos_gamma = np.cos(np.radians(rng.uniform(70, 110, size=3)))
    sin_gamma = np.sqrt(1 - cos_gamma**2)
    c_y = (cos_alpha - cos_beta * cos_gamma) / sin_gamma
    c_z = np.sqrt(1 - cos_beta**2 - c_y**2)
    cell = np.array([[a, 0, 0], [b * cos_gamma, b * sin_gamma, 0], [c * cos_beta, c * c_y, c * c_z]])

    # Each site takes the position with most space of many random ones. Otherwise atoms would be close to each other,
    # and the cell would have to grow.
    contacts = _contacts(radii[atomic_numbers])
    frac_coords = np.zeros((1, 3))
    for site in range(1, n_sites):
        places = rng.uniform(size=(_N_POSITIONS, 3))
        room = _image_distances(cell, places, frac_coords).min(axis=-1) / contacts[site, :site]
        frac_coords = np.vstack([frac_coords, places[room.min(axis=1).argmax()]])
    return atomic_numbers, cell, frac_coords


def _contacts(radii):
    """Return the distance at which each pair of atoms touches, shape (M, M)."""
    return np.maximum(radii[:, None] + radii, _MIN_CONTACT)


def _distort(rng, atomic_numbers, cell, frac_coords, max_sites):
    """Return a supercell of at most max_sites, strained and with displaced atoms."""
    repeats = [r for r in product((1, 2), repeat=3) if len(atomic_numbers) * np.prod(r) <= max_sites]
    repeat = np.array(repeats[rng.randint(len(repeats))])
    shifts = np.array(list(np.ndindex(*repeat)))
    frac_coords = (shifts[:, None] + frac_coords).reshape(-1, 3) / repeat
    atomic_numbers = np.tile(atomic_numbers, len(shifts))

    strain = np.triu(rng.uniform(-_MAX_STRAIN, _MAX_STRAIN, size=(3, 3)))
    strain = strain + np.triu(strain, 1).T
    cell = cell * repeat[:, None] @ (np.eye(3) + strain)
    displacements = rng.uniform(-_MAX_DISPLACEMENT, _MAX_DISPLACEMENT, size=frac_coords.shape)
    return atomic_numbers, cell, frac_coords + displacements @ np.linalg.inv(cell)


def _image_distances(cell, origins, ends):
    """Return the distance from each origin to the images of each end, shape (n_origins, n_ends, n_images)."""
    difference = ends - origins[:, None]
    difference -= np.round(difference)
    return np.linalg.norm((difference[:, :, None] + _IMAGES) @ cell, axis=-1)


def _nearest_images(cell, frac_coords):
    """Return the distance from each site to the nearest image of each, shape (M, M), without a site itself."""
    distances = _image_distances(cell, frac_coords, frac_coords)
    home_image = (_IMAGES == 0).all(axis=1)
    distances[np.eye(len(frac_coords), dtype=bool)[:, :, None] & home_image] = np.inf
    return distances.min(axis=-1)


def _target(cell, frac_coords, electronegativities):
    nearest = _nearest_images(cell, frac_coords).argmin(axis=1)
    volume_per_site = abs(np.linalg.det(cell)) / len(frac_coords)
    return -np.mean((electronegativities - electronegativities[nearest]) ** 2) + 0.02 * volume_per_site
