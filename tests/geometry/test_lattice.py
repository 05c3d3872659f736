"""Hermite normal forms and reduced bases of lattices."""

import itertools

import numpy as np
import pytest
from pymatgen.core import Lattice

from skdim._geometry.lattice import hermite_form, minkowski_reduced, reduced_bases
from tests.helpers.cells import lattices, unimodular


def test_hermite_form_does_not_depend_on_the_basis():
    rng = np.random.default_rng(0)
    for _ in range(30):
        rows = rng.integers(-4, 5, size=(3, 3))
        if round(np.linalg.det(rows)) == 0:
            continue
        form = hermite_form(rows)
        np.testing.assert_array_equal(hermite_form(unimodular(rng) @ rows), form)
        np.testing.assert_array_equal(form, np.triu(form))
        assert np.diag(form).prod() == abs(round(np.linalg.det(rows)))
        assert np.abs(rows @ np.linalg.inv(form) - np.rint(rows @ np.linalg.inv(form))).max() < 1e-9
    with pytest.raises(ValueError, match="do not span"):
        hermite_form([[1, 2, 3], [2, 4, 6], [0, 0, 1]])


def test_minkowski_reduced_basis_has_the_shortest_vectors():
    points = np.array(list(itertools.product(range(-4, 5), repeat=3)))
    for lattice in lattices(40, skew=6):
        reduced = minkowski_reduced(lattice)
        change = reduced @ np.linalg.inv(lattice)
        assert np.abs(change - np.rint(change)).max() < 1e-6
        assert abs(np.linalg.det(change)) == pytest.approx(1)
        lengths = np.linalg.norm(reduced, axis=1)
        assert (np.diff(lengths) >= -1e-9).all()
        # Each vector is the shortest that is linearly independent of the previous ones.
        vectors = points @ reduced
        size = np.linalg.norm(vectors, axis=1)
        assert lengths[0] == pytest.approx(size[points.any(axis=1)].min())
        assert lengths[1] == pytest.approx(size[points[:, 1:].any(axis=1)].min())
        assert lengths[2] == pytest.approx(size[points[:, 2] != 0].min())


@pytest.mark.parametrize(
    ("lattice", "n_bases"),
    [(Lattice.cubic(3), 24), (Lattice.hexagonal(3, 5), 12), (Lattice.tetragonal(3, 5), 8)],
    ids=["cubic", "hexagonal", "tetragonal"],
)
def test_there_is_one_reduced_basis_per_symmetry_of_the_lattice(lattice, n_bases):
    # Half of the order of the point group, because a basis and its negative count once.
    assert len(reduced_bases(lattice.matrix)) == n_bases


def test_reduced_bases_do_not_depend_on_the_input_basis(formation_crystals):
    rng = np.random.default_rng(0)
    for structure in formation_crystals:
        lattice = structure.lattice.matrix
        first, second = reduced_bases(lattice), reduced_bases(unimodular(rng) @ lattice)
        assert len(first) == len(second)
        np.testing.assert_allclose(first[0] @ first[0].T, second[0] @ second[0].T, atol=2e-3)
        both = np.concatenate([second, -second])
        for basis in first:
            assert np.abs(both - basis).max(axis=(1, 2)).min() < 1e-4
