"""make_crystals: target, variety and reproducibility."""

import moyopy
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdim.datasets import make_crystals
from skdim.datasets._synthetic import _target


@pytest.fixture(scope="module")
def synthetic():
    return make_crystals(150, random_state=0, return_prototypes=True)


def neighbour_distances(structure):
    # Longer than any nearest-neighbour distance below. Images of a site count as its neighbours.
    return structure.get_neighbor_list(7.5)


def test_target_is_the_documented_formula(synthetic):
    structures, target, prototypes = synthetic
    for structure, y, prototype in zip(structures, target, prototypes, strict=True):
        centers, points, _, distances = neighbour_distances(structure)
        squares = []
        for i, site in enumerate(structure):
            of_site = centers == i
            neighbour = structure[points[of_site][distances[of_site].argmin()]]
            squares.append((site.specie.X - neighbour.specie.X) ** 2)
        expected = -np.mean(squares) + 0.02 * structure.volume / len(structure)
        assert_allclose(y, expected, rtol=1e-9, atol=1e-9, err_msg=f"{prototype} {structure.formula}")


def test_target_does_not_depend_on_the_cell(synthetic):
    """A supercell of the least symmetric crystals has the same target."""
    structures, target, prototypes = synthetic
    for index in np.flatnonzero(prototypes == "random")[:5]:
        supercell = structures[index] * (2, 1, 1)
        chi = np.array([site.specie.X for site in supercell])
        assert_allclose(_target(supercell.lattice.matrix, supercell.frac_coords, chi), target[index])


def test_atoms_are_at_least_1_2_angstrom_apart():
    structures, _ = make_crystals(400, random_state=1)
    distances = [neighbour_distances(structure)[3].min() for structure in structures]
    assert min(distances) > 1.2
    assert max(distances) < 7


def test_crystals_are_varied(synthetic):
    structures, target, prototypes = synthetic
    assert set(prototypes) == {
        *("rock salt", "CsCl", "zinc blende", "wurtzite", "fluorite", "rutile", "perovskite"),
        *("fcc", "bcc", "hcp", "random"),
    }
    assert {len(structure) for structure in structures} >= {1, 2, 3, 4, 5, 6, 8}
    assert {len(structure.composition) for structure in structures} == {1, 2, 3}
    assert len({site.specie for structure in structures for site in structure}) > 35
    assert target.std() > 1
    assert all(0 <= structure.frac_coords.min() <= structure.frac_coords.max() < 1 for structure in structures)


# International Tables numbers of the ideal structure types
SPACE_GROUPS = {
    **{"rock salt": 225, "CsCl": 221, "zinc blende": 216, "wurtzite": 186, "fluorite": 225, "rutile": 136},
    **{"perovskite": 221, "fcc": 225, "bcc": 229, "hcp": 194},
}


def space_group(structure):
    cell = moyopy.Cell(
        structure.lattice.matrix.tolist(), structure.frac_coords.tolist(), list(structure.atomic_numbers)
    )
    return moyopy.MoyoDataset(cell, symprec=1e-4).number


def test_prototypes_have_their_space_group(synthetic):
    structures, _, prototypes = synthetic
    ideal, distorted = set(), set()
    for structure, prototype in zip(structures, prototypes, strict=True):
        number = space_group(structure)
        if prototype != "random" and number == SPACE_GROUPS[prototype]:
            ideal.add(str(prototype))
        else:
            # inversion may remain: two displaced atoms always have a centre between them
            assert number <= 2 or len(structure) <= 2, (prototype, number)
            distorted.add(str(prototype))
    assert ideal == set(SPACE_GROUPS)
    assert distorted >= {*SPACE_GROUPS, "random"} - {"fcc", "bcc"}


def test_crystals_are_distinct(synthetic):
    structures, target, prototypes = synthetic
    formulas = [structure.composition.reduced_formula for structure in structures]
    pairs = [pair for pair in zip(prototypes, formulas, strict=True) if pair[0] != "random"]
    assert len(set(pairs)) == len(pairs)
    assert len(set(target)) == len(target)


def test_sites_are_shuffled(synthetic):
    """Perovskites in one cell: the list of the structure type is A, B, then three X."""
    structures, _, prototypes = synthetic
    perovskites = [structures[index] for index in np.flatnonzero(prototypes == "perovskite")]
    cells = [structure for structure in perovskites if len(structure) == 5]
    assert len(cells) > 5
    # by chance the three X are last in one of ten
    x_last = [len(set(cell.atomic_numbers[2:])) == 1 for cell in cells]
    assert np.mean(x_last) < 0.5


@pytest.mark.parametrize("seed", [0, 17])
def test_same_seed_same_crystals(seed):
    first, first_target = make_crystals(12, noise=0.1, random_state=seed)
    second, second_target = make_crystals(12, noise=0.1, random_state=np.random.RandomState(seed))
    assert_array_equal(first_target, second_target)
    for a, b in zip(first, second, strict=True):
        assert a.atomic_numbers == b.atomic_numbers
        assert_array_equal(a.lattice.matrix, b.lattice.matrix)
        assert_array_equal(a.frac_coords, b.frac_coords)
    _, other_target = make_crystals(12, noise=0.1, random_state=seed + 1)
    assert not np.isin(first_target, other_target).any()


def test_fewer_crystals_are_the_first_of_more():
    few, few_target = make_crystals(3, random_state=0)
    more, more_target = make_crystals(9, random_state=0)
    assert few == more[:3]
    assert_array_equal(few_target, more_target[:3])


def test_global_random_state_does_not_change():
    before = np.random.get_state()  # noqa: NPY002  the test is about the legacy state
    make_crystals(5, random_state=0)
    after = np.random.get_state()  # noqa: NPY002
    assert_array_equal(before[1], after[1])
    assert before[2:] == after[2:]


def test_noise_has_the_given_deviation_and_keeps_the_crystals():
    structures, target = make_crystals(300, random_state=0)
    noisy_structures, noisy = make_crystals(300, random_state=0, noise=0.5)
    assert noisy_structures == structures
    assert 0.45 < (noisy - target).std() < 0.55
    assert abs((noisy - target).mean()) < 0.1


@pytest.mark.parametrize("max_sites", [2, 3, 5, 40])
def test_cells_have_at_most_max_sites(max_sites):
    structures, _ = make_crystals(40, max_sites=max_sites, random_state=0)
    largest = max(len(structure) for structure in structures)
    assert max_sites / 2 < largest <= max_sites


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"n_crystals": 0}, ValueError),
        ({"n_crystals": 2.5}, TypeError),
        ({"noise": -0.1}, ValueError),
        ({"noise": float("nan")}, ValueError),
        ({"noise": float("inf")}, ValueError),
        ({"noise": "much"}, TypeError),
        ({"max_sites": 1}, ValueError),
        ({"random_state": "seed"}, ValueError),
    ],
)
def test_bad_parameters_are_refused(parameters, error):
    with pytest.raises(error, match=next(iter(parameters)) + "|seed"):
        make_crystals(**{"n_crystals": 3, **parameters})
