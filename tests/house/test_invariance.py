"""The representation depends on the crystal only, not on the choice of cell or the order of sites."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from skdim import SiteNetFeaturizer
from skdim._chemistry.elements import site_inputs
from tests.helpers import assertions

CHANGES = [
    assertions.assert_unchanged_by_rotation,
    assertions.assert_unchanged_by_translation,
    assertions.assert_unchanged_by_site_order,
    assertions.assert_unchanged_by_lattice_choice,
    assertions.assert_unchanged_by_supercell,
]


def representation(untrained, **settings):
    featurizer = SiteNetFeaturizer(**settings)
    return lambda structures: untrained.transform(featurizer.transform(structures))


def fingerprint(**settings):
    """Means over all pairs of waves of the distance, by themselves and with the sites' features: smooth, and sharp."""
    featurizer = SiteNetFeaturizer(**settings)

    def function(structures):
        X = featurizer.transform(structures)
        rows = []
        for x in X:
            i = np.repeat(np.arange(len(x.numbers)), np.diff(x.pair_offsets))
            inputs = site_inputs(x).astype(float)
            waves = np.cos(np.outer(x.distance, [0.5, 1, 2, 3]))
            species = np.tanh(inputs[i, 0] + 2 * inputs[x.neighbour, 5])
            weight = x.multiplicity[i] * x.count / (x.multiplicity[i] @ x.count.astype(float))
            rows.append(np.concatenate([weight @ waves, (weight * species) @ waves]))
        return np.array(rows)

    return function


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__.removeprefix("assert_unchanged_by_"))
@pytest.mark.parametrize(("tol", "atol"), [(1e-3, 2e-3), (1e-6, 1e-4)])
def test_representations_depend_on_the_crystal_only(change, tol, atol, untrained, formation_crystals):
    change(representation(untrained, distance_tol=tol), formation_crystals, atol)
    change(fingerprint(distance_tol=tol), formation_crystals, atol / 10)


@pytest.mark.filterwarnings("ignore:X was featurized with")
@pytest.mark.parametrize("settings", [{"supercell": "primitive"}, {"compress": False}, {"max_sites": 120}], ids=str)
def test_other_settings_are_invariant_too(settings, untrained, formation_crystals):
    for change in CHANGES:
        change(representation(untrained, **settings), formation_crystals[::3], 2e-3)
        change(fingerprint(**settings), formation_crystals[::3], 1e-3)


def test_equally_good_supercells_of_an_unsymmetric_crystal(untrained):
    # Lattices of high symmetry with nothing symmetric inside: which of their equal axes grows must not depend on the
    # order in which they come.
    rng = np.random.default_rng(1)
    lattices = [
        Lattice.cubic(5.1),
        Lattice.hexagonal(4.3, 7.9),
        Lattice(3.7 * (np.ones((3, 3)) - np.eye(3))),
        Lattice(3.0 * (np.ones((3, 3)) - 2 * np.eye(3))),
        Lattice.rhombohedral(5.2, 75),
    ]
    sites = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.29, 0.1, 0.03]])
    structures = [
        Structure(lattice, ["Na", "Cl", "O"], sites + rng.normal(0, 0.02, sites.shape)) for lattice in lattices
    ]
    function = fingerprint(distance_tol=1e-6)
    for change in CHANGES:
        change(function, structures, 1e-5)
    for axes in ([1, 0, 2], [2, 1, 0], [1, 2, 0]):
        others = [Structure(Lattice(s.lattice.matrix[axes]), s.species, s.frac_coords[:, axes]) for s in structures]
        np.testing.assert_allclose(function(others), function(structures), atol=1e-5)


def test_different_crystals_differ(untrained, formation_crystals):
    vectors = representation(untrained)(formation_crystals)
    apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=2) + 10 * np.eye(len(vectors))
    assert apart.min() > 0.05
    # The same sites in a cell 2 % wider, and the same cell with two species exchanged, are other crystals.
    structure = formation_crystals[0]
    first, last = structure.species[0], structure.species[-1]
    wider, exchanged = structure.copy(), structure.copy()
    wider.scale_lattice(1.06 * wider.volume)
    exchanged.replace_species({first: last, last: first})
    for function, least in ((representation(untrained), 0.005), (fingerprint(), 0.01)):
        vectors = function([structure, wider, exchanged])
        assert np.linalg.norm(vectors[1:] - vectors[0], axis=1).min() > least


@pytest.mark.parametrize("settings", [{}, {"supercell": "none"}, {"oxidation_states": "species"}], ids=str)
def test_inputs_are_not_changed(settings, formation_crystals):
    structures = [s.copy() for s in formation_crystals[:12] if len(s) > 1]
    structures[0].add_oxidation_state_by_element({e.symbol: 1 for e in structures[0].elements})
    structures[1].add_site_property("spin", list(range(len(structures[1]))))
    assertions.assert_inputs_unchanged(SiteNetFeaturizer(**settings).transform, structures)
