"""Errors for invalid input name the row, the formula, the problem and a remedy."""

import re

import numpy as np
import pytest
from pymatgen.core import DummySpecies, Lattice, Molecule, Structure
from pymatgen.io.cif import CifWriter
from sklearn.pipeline import make_pipeline

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor

ase = pytest.importorskip("ase", reason="needs the extra 'ase'")

from ase.build import molecule

CENTRED = [[0, 0, 0], [0.5, 0.5, 0.5]]


def cell(first="Cs", second="Cl", a=4.1, coords=CENTRED):
    return Structure(Lattice.cubic(a), [first, second], coords)


def big_cell():
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(4)] * 3), axis=-1).reshape(-1, 3)[:60] / 4
    return Structure(Lattice.cubic(12), ["Na"] * 29 + ["Cl"] * 31, grid + rng.normal(0, 0.01, grid.shape))


def not_finite():
    return Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0, 0, 0], [np.nan, 0.5, 0.5]])


# Rows that no setting of the featurizer's defaults takes, and the message after "row 1".
BAD = {
    "no such file": ("absent.cif", ", absent.cif: cannot open the file"),
    "broken CIF": ("data_x\n_cell_length_a 4\nloop_\n_atom_site_label\nNa1\n", ": cannot read the CIF text: it lacks"),
    "no CIF": ("hello\nworld", ": the text is in none of the formats"),
    "missing": (None, r": the structure is missing \(None\)"),
    "number": (3, ": cannot use a int"),
    "overlap": (
        cell("Na", "Cl", coords=[[0, 0, 0], [0.01, 0, 0]]),
        r" \(NaCl\): sites 0 \(Na\) and 1 \(Cl\) are 0.041 angstrom apart, less than 0.5: remove duplicate sites",
    ),
    "written twice": (
        cell("Na", "Na", coords=[[0, 0, 0], [0, 0, 0]]),
        r" \(Na\): sites 0 \(Na\) and 1 \(Na\) are 0 angstrom apart",
    ),
    "thin cell": (
        Structure(Lattice.orthorhombic(0.4, 5, 5), ["Na", "Cl"], CENTRED),
        r" \(NaCl\): site 0 \(Na\) and its periodic image are 0.4 angstrom apart",
    ),
    "dummy element": (cell(DummySpecies("X")), r" \(.*\): site 0 is 'X', which is not an element"),
    "too heavy": (cell("Rf"), r" \(.*Rf.*\): site 0 is Rf \(Z = 104\); elements are known up to Z = 103"),
    "partly occupied": (
        cell({"Cs": 0.8}),
        r" \(.*\): site 0 is disordered or partly vacant \(Cs.* 0.8\); pass disordered='majority'",
    ),
    "NaN": (not_finite(), r" \(CsCl\): the coordinates of site 1 are not finite"),
    "too many sites": (
        big_cell(),
        r" \(Na29Cl31\): its primitive cell has 60 sites, more than max_sites=50: raise max_sites",
    ),
    "molecule": (Molecule(["C", "O"], [[0, 0, 0], [0, 0, 1.1]]), r" \(CO\): a Molecule is not periodic"),
    "atoms without a cell": (molecule("H2O"), r" \(H2O\): the Atoms is periodic along no axis only"),
    "flat atoms": (ase.Atoms("NaCl", [[0, 0, 0], [2, 0, 0]], cell=[4, 4, 0], pbc=True), r" \(NaCl\): the cell of the"),
}


@pytest.fixture(scope="module")
def with_failed():
    with pytest.warns(UserWarning, match=r"1 of 4 structures could not be featurized.*row 2"):
        return SiteNetFeaturizer(on_error="warn").transform([cell(), cell("Na"), None, cell("K")])


@pytest.mark.parametrize(("bad", "message"), BAD.values(), ids=BAD)
def test_row_and_formula_are_named(bad, message):
    rows = [cell(), bad, cell("Na")]
    with pytest.raises(ValueError, match=f"^row 1{message}") as error:
        SiteNetFeaturizer().transform(rows)
    assert error.value.row == 1
    assert str(error.value).endswith(error.value.reason)

    with pytest.warns(UserWarning, match=f"1 of 3 structures could not be featurized; .*The first: row 1{message}"):
        X = SiteNetFeaturizer(on_error="warn").transform(rows)
    assert list(X.errors_) == [1]
    assert re.match(f"row 1{message}", X.errors_[1])
    assert X.failed.tolist() == [False, True, False]
    good = SiteNetFeaturizer().transform([rows[0], rows[2]])
    np.testing.assert_array_equal(X[~X.failed].distance, good.distance)
    assert X[~X.failed].formulas == good.formulas


def test_a_cell_as_given_has_its_own_message_for_too_many_sites():
    with pytest.raises(ValueError, match=r"row 0 \(NaCl\): its cell has 54 sites, more than max_sites=50"):
        SiteNetFeaturizer(supercell="none").transform([cell("Na").make_supercell(3, in_place=False)])


def test_a_lone_atom_is_refused():
    copper = Structure(Lattice.cubic(2.5), ["Cu"], [[0, 0, 0]])
    assert SiteNetFeaturizer().transform([copper]).n_sites == [1]
    for settings in ({"supercell": "primitive"}, {"supercell": "none"}, {"max_sites": 1}):
        X = SiteNetFeaturizer(**settings).transform([copper])
        assert X.distance.tolist() == [0], "its supercell is the atom alone"


def test_an_empty_list_is_refused():
    for method in (SiteNetFeaturizer().fit, SiteNetFeaturizer().transform):
        with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
            method([])


def test_a_single_structure_is_refused():
    for X in (cell(), "NaCl.cif", str(CifWriter(cell())), cell().as_dict()):
        with pytest.raises(TypeError, match=r"a single row; pass a list of one: \[x\]"):
            SiteNetFeaturizer().transform(X)
    with pytest.raises(ValueError, match="not of structures"):
        SiteNetFeaturizer().transform(np.zeros((3, 2)))


def test_several_bad_rows_are_counted():
    rows = [None, cell(), *(bad for bad, _ in BAD.values())]
    with pytest.warns(UserWarning, match=f"{len(BAD) + 1} of {len(rows)} structures .*The first: row 0: the structure"):
        X = SiteNetFeaturizer(on_error="warn").transform(rows)
    assert set(X.errors_) == set(range(len(rows))) - {1}
    for row, why in X.errors_.items():
        assert why.startswith(f"row {row}")


def test_only_bad_rows_are_refused(untrained):
    with pytest.warns(UserWarning, match="2 of 2"):
        X = SiteNetFeaturizer(on_error="warn").transform([None, None])
    assert X.formulas == ["?", "?"]
    assert np.isnan(untrained.transform(X)).all()
    assert [len(part) for part in untrained.transform_sites(X)] == [0, 0]


# ---- what the estimators do with them ----


def test_failed_rows_embed_as_nan(with_failed, untrained):
    vectors = untrained.transform(with_failed)
    assert np.isnan(vectors).all(axis=1).tolist() == [False, False, True, False]
    np.testing.assert_allclose(vectors[[0, 1, 3]], untrained.transform(with_failed[[0, 1, 3]]), atol=1e-6)
    sites, rows = untrained.transform_sites(with_failed)
    assert rows.tolist() == [0, 0, 1, 1, 3, 3]
    assert np.isfinite(sites).all()


def test_embedder_leaves_failed_rows_out(with_failed):
    settings = {"max_epochs": 1, "random_state": 0, "device": "cpu"}
    with pytest.warns(UserWarning, match="leaves out 1 of 4 rows that could not be featurized"):
        embedder = DeepInfoMaxEmbedder(**settings).fit(with_failed)
    expected = DeepInfoMaxEmbedder(**settings).fit(with_failed[~with_failed.failed])
    np.testing.assert_array_equal(embedder.transform(with_failed), expected.transform(with_failed))
    with (
        pytest.warns(UserWarning, match="leaves out 1 of 2"),
        pytest.raises(ValueError, match="minimum of 2 is required by DeepInfoMaxEmbedder"),
    ):
        DeepInfoMaxEmbedder(**settings).fit(with_failed[1:3])


def regressor():
    return SiteNetRegressor(max_epochs=1, random_state=0, device="cpu")


def test_regressor_refuses_failed_rows(with_failed):
    with pytest.raises(ValueError, match=r"not be featurized\. The first: row 2: the structure is missing"):
        regressor().fit(with_failed, np.arange(4.0))
    keep = ~with_failed.failed
    assert np.isfinite(regressor().fit(with_failed[keep], np.arange(4.0)[keep]).predict(with_failed[keep])).all()


def test_labels(with_failed):
    X = with_failed[[0, 1, 3]]
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[3, 2\]"):
        regressor().fit(X, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"Input y contains NaN: row 1 \(NaCl\).*keep = np.isfinite\(y\)"):
        regressor().fit(X, [1.0, np.nan, 2.0])
    with pytest.raises(ValueError, match=r"Input y contains infinity .*row 2 \(KCl\)"):
        regressor().fit(X, [1.0, 2.0, np.inf])
    with pytest.raises(ValueError, match="target y is None"):
        regressor().fit(X, None)


def test_estimators_refuse_anything_but_crystals():
    for estimator in (DeepInfoMaxEmbedder(device="cpu"), regressor()):
        with pytest.raises(TypeError, match="needs the Crystals that SiteNetFeaturizer returns, not list"):
            estimator.fit([cell(), cell("Na")], [1.0, 2.0])


def test_messages_pass_through_a_pipeline():
    pipeline = make_pipeline(SiteNetFeaturizer(), DeepInfoMaxEmbedder(max_epochs=0, device="cpu"))
    with pytest.raises(ValueError, match=r"^row 2 \(.*Rf.*\): "):
        pipeline.fit([cell(), cell("Na"), cell("Rf")])
