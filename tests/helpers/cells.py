"""Primitive cells of structures, and lattices in random bases."""

import numpy as np

from skdim._geometry.primitive_cell import primitive_cell


def cell_of(structure):
    """Primitive cell of a structure, with atomic numbers as labels."""
    return primitive_cell(structure.lattice.matrix, structure.frac_coords, numbers_of(structure))


def numbers_of(structure):
    return np.array([site.specie.Z for site in structure])


def lattices(n, skew, seed=0):
    """Random lattices ; ``skew`` integer combinations make the bases less reduced."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        lattice = rng.normal(size=(3, 3)) + 2.5 * np.eye(3)
        for _ in range(skew):
            i, j = rng.choice(3, size=2, replace=False)
            lattice[i] += rng.integers(-3, 4) * lattice[j]
        yield lattice


def unimodular(rng, steps=5):
    """Random integer matrix of determinant 1."""
    matrix = np.eye(3, dtype=int)
    for _ in range(steps):
        i, j = rng.choice(3, size=2, replace=False)
        matrix[i] += rng.integers(-2, 3) * matrix[j]
    return matrix
