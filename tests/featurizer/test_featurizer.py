"""SiteNetFeaturizer: inputs, parameters, and the order of sites."""

import copy
import pickle
import warnings
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from joblib import Parallel, delayed, parallel_config
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.cif import CifWriter
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils._param_validation import InvalidParameterError

from skdim import Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim._chemistry.elements import ALL_SITE_FEATURES, PAPER_SITE_FEATURES, element_table, site_inputs
from skdim._structures.errors import StructureError
from tests.helpers.assertions import assert_same_crystals


@pytest.fixture(scope="module")
def structures(formation_crystals):
    """Structures with sites in the order in which CIFs are read, and coordinates inside the cell."""
    return [Structure.from_sites(s.get_sorted_structure(), to_unit_cell=True) for s in formation_crystals[::11]]


def rock_salt(first="Na", second="Cl", primitive=False):
    lattice = Lattice.cubic(5.64) if not primitive else Lattice(2.82 * (np.ones((3, 3)) - np.eye(3)))
    if primitive:
        return Structure(lattice, [first, second], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return Structure.from_spacegroup("Fm-3m", lattice, [first, second], [[0, 0, 0], [0.5, 0.5, 0.5]])


# ---- input ----


def test_all_containers_give_the_same_crystals(structures):
    expected = SiteNetFeaturizer().transform(structures)
    array = np.empty(len(structures), dtype=object)
    for k, structure in enumerate(structures):
        array[k] = structure
    series = pd.Series(structures, index=range(7, 7 + len(structures)))
    for X in (tuple(structures), array, array[:, None], series, pd.DataFrame({"structure": structures})):
        assert_same_crystals(SiteNetFeaturizer().transform(X), expected)
        assert_same_crystals(SiteNetFeaturizer().fit_transform(X, np.zeros(len(structures))), expected)


def test_polars_and_arrow_tables_are_read(structures):
    polars = pytest.importorskip("polars", reason="needs the extra 'test'")
    pyarrow = pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")
    expected = SiteNetFeaturizer().transform(structures)
    column = polars.Series("s", structures, dtype=polars.Object)
    for X in (column, polars.DataFrame({"s": column})):
        assert_same_crystals(SiteNetFeaturizer().fit_transform(X), expected)
    cifs = [str(CifWriter(s, significant_figures=10)) for s in structures]
    for X in (polars.Series(cifs), polars.DataFrame({"s": cifs}), pyarrow.chunked_array([cifs[:2], cifs[2:]])):
        assert_same_crystals(SiteNetFeaturizer().fit_transform(X), expected, atol=1e-5)
    assert_same_crystals(SiteNetFeaturizer().transform(pyarrow.table({"s": cifs})), expected, atol=1e-5)
    for X, message in (
        (polars.Series([1, 2]), "X holds numbers"),
        (polars.Series([True]), "X holds numbers"),
        (polars.DataFrame({"a": cifs, "b": cifs}), r"X is a DataFrame of 2 columns \('a', 'b'\)"),
        (polars.Series([], dtype=polars.String), "0 sample"),
    ):
        with pytest.raises(ValueError, match=message):
            SiteNetFeaturizer().transform(X)
    with pytest.raises(TypeError, match="X is a LazyFrame"):
        SiteNetFeaturizer().transform(polars.DataFrame({"s": cifs}).lazy())


def test_all_kinds_of_rows_give_the_same_crystals(structures, tmp_path):
    expected = SiteNetFeaturizer().transform(structures)
    cif = [str(CifWriter(s, significant_figures=10)) for s in structures]
    paths = [tmp_path / f"{k}.cif" for k in range(len(structures))]
    for path, text in zip(paths, cif, strict=True):
        path.write_text(text)
    forms = {
        "path": paths,
        "name": [str(path) for path in paths],
        "text": cif,
        "dict": [s.as_dict() for s in structures],
    }
    if find_spec("ase"):  # an extra
        forms["atoms"] = [AseAtomsAdaptor.get_atoms(s) for s in structures]
    for rows in forms.values():
        assert_same_crystals(SiteNetFeaturizer().transform(rows), expected, atol=1e-5)
    mixed = [list(forms.values())[k % len(forms)][k] for k in range(len(structures))]
    assert_same_crystals(SiteNetFeaturizer().transform(mixed), expected, atol=1e-5)


def test_two_processes_give_the_same_result(structures):
    rows = [*structures, None, *structures]
    with pytest.warns(UserWarning, match=r"1 of 11 .* The first: row 5: the structure is missing"):
        expected = SiteNetFeaturizer(on_error="warn").transform(rows)
    with pytest.warns(UserWarning, match=r"1 of 11 .* The first: row 5: the structure is missing"):
        assert_same_crystals(SiteNetFeaturizer(on_error="warn", n_jobs=2).transform(rows), expected)
    assert set(expected.errors_) == {5}
    with pytest.raises(ValueError, match="row 5: the structure is missing"):
        SiteNetFeaturizer(n_jobs=2).transform(rows)


def test_crystals_can_be_passed_to_other_processes(crystals, tmp_path):
    crystals.save(tmp_path / "store")
    mapped = Crystals.load(tmp_path / "store", mmap_mode="r")
    for back in Parallel(n_jobs=2)(delayed(Crystals.__getitem__)(X, slice(None, None, -1)) for X in (crystals, mapped)):
        assert_same_crystals(back, crystals[::-1])


def test_n_jobs_of_the_joblib_context_is_used(structures, monkeypatch, capsys):
    expected = SiteNetFeaturizer().transform(structures)
    with parallel_config(backend="threading", n_jobs=3):
        assert_same_crystals(SiteNetFeaturizer(verbose=1).transform(structures), expected)
    assert "chunk" in capsys.readouterr().err


# ---- estimator API ----


def test_the_first_row_that_fails_is_reported():
    """Several rows are read before they are featurized."""
    close = Structure(Lattice.cubic(5), ["Na", "Cl"], [[0, 0, 0], [0.01, 0, 0]])
    with pytest.raises(StructureError, match=r"row 1 .*apart"):
        SiteNetFeaturizer().transform([rock_salt(), close, "no structure\n", rock_salt()])
    with pytest.raises(StructureError, match="row 1: the text is in none of the formats"):
        SiteNetFeaturizer().transform([rock_salt(), "no structure\n", close])


def test_transform_does_not_depend_on_fit(structures):
    featurizer = SiteNetFeaturizer()
    assert featurizer.__sklearn_is_fitted__()
    before = copy.deepcopy(vars(featurizer))
    first = featurizer.transform(structures)
    assert featurizer.fit(structures[:1]) is featurizer
    assert_same_crystals(featurizer.transform(structures), first)
    assert vars(featurizer) == before, "an attribute was set"
    assert not featurizer.__sklearn_tags__().requires_fit


def test_copies_have_the_same_parameters_and_results(structures):
    featurizer = SiteNetFeaturizer(max_sites=30, site_features=("row", "group"), oxidation_states="species")
    params = featurizer.get_params()
    assert params["max_sites"] == 30
    for other in (clone(featurizer), pickle.loads(pickle.dumps(featurizer)), SiteNetFeaturizer().set_params(**params)):
        assert other.get_params() == params
        assert_same_crystals(other.transform(structures), featurizer.transform(structures))
    assert "max_sites=30" in repr(featurizer)


def test_feature_names_and_output_of_a_pipeline(structures, untrained):
    featurizer = SiteNetFeaturizer()
    assert featurizer.get_feature_names_out().tolist() == ["crystal"]
    assert featurizer.set_output(transform="pandas") is featurizer
    assert_same_crystals(featurizer.fit_transform(structures), SiteNetFeaturizer().transform(structures))
    pipeline = make_pipeline(SiteNetFeaturizer(), DeepInfoMaxEmbedder(max_epochs=0, random_state=0, device="cpu"))
    table = pipeline.set_output(transform="pandas").fit_transform(structures)
    assert isinstance(table, pd.DataFrame)
    assert table.columns.tolist() == pipeline.get_feature_names_out().tolist()
    np.testing.assert_allclose(table, untrained.transform(featurizer.transform(structures)), atol=1e-6)


@pytest.mark.parametrize(
    "params",
    [
        {"max_sites": 0},
        {"max_sites": 50.0},
        {"max_sites": 2**16},
        {"supercell": "cubic"},
        {"site_features": 3},
        {"oxidation_states": "bond valence"},
        {"guess_time_limit": 0},
        {"distance_tol": -1e-3},
        {"distance_tol": 0.5},
        {"symprec": 0},
        {"compress": "yes"},
        {"disordered": "drop"},
        {"on_error": "ignore"},
        {"n_jobs": "two"},
        {"verbose": "loud"},
    ],
    ids=str,
)
def test_invalid_parameters_are_refused(params, structures):
    featurizer = SiteNetFeaturizer(**params)
    for method in (featurizer.fit, featurizer.transform):
        with pytest.raises(InvalidParameterError, match=f"The '{next(iter(params))}' parameter"):
            method(structures)


def test_progress_is_written_to_stderr(structures, capsys):
    SiteNetFeaturizer(verbose=1).transform(structures)
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{len(structures)} of {len(structures)} structures" in err
    SiteNetFeaturizer().transform(structures)
    assert capsys.readouterr() == ("", "")


# ---- site features ----


def test_site_features_are_those_of_the_element_table(structures):
    X = SiteNetFeaturizer().transform(structures)
    assert X.site_features == ALL_SITE_FEATURES
    assert site_inputs(X).shape[1] == 25
    np.testing.assert_allclose(site_inputs(X), element_table(ALL_SITE_FEATURES)[X.numbers], rtol=1e-6)
    np.testing.assert_array_equal(
        site_inputs(SiteNetFeaturizer(site_features=PAPER_SITE_FEATURES).transform(structures)), site_inputs(X)[:, :8]
    )
    chosen = ["density", "covalent_radius"]
    Y = SiteNetFeaturizer(site_features=chosen).transform(structures)
    assert Y.site_features == tuple(chosen)
    np.testing.assert_allclose(site_inputs(Y), element_table(chosen)[X.numbers], rtol=1e-6)
    assert site_inputs(SiteNetFeaturizer(site_features=np.array(chosen)).transform(structures)).shape[1] == 2
    np.testing.assert_array_equal(X.distance, Y.distance)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["densty"], r"'densty' \(did you mean 'density'\?\)"),
        ([], "at least one property"),
        (["row", "row"], "each once"),
        ("density", "must be an array-like"),
    ],
    ids=str,
)
def test_invalid_site_features_are_refused(names, message, structures):
    with pytest.raises(ValueError, match=message):
        SiteNetFeaturizer(site_features=names).fit(structures)


# ---- oxidation states ----


def test_oxidation_states_are_those_of_the_species():
    magnetite = Structure(Lattice.cubic(4.1), ["Fe2+", "Fe3+", "O2-"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]])
    plain = SiteNetFeaturizer().transform([magnetite])
    X = SiteNetFeaturizer(oxidation_states="species").transform([magnetite])
    assert X.site_features == (*ALL_SITE_FEATURES, "oxidation_state")
    assert dict(zip(X.oxidation_states.tolist(), X.numbers.tolist(), strict=True)) == {2: 26, 3: 26, -2: 8}
    np.testing.assert_array_equal(X.oxidation_states[X.site_class], [2, 3, -2])
    np.testing.assert_allclose(site_inputs(X)[:, -1], X.oxidation_states / 4)
    np.testing.assert_array_equal(plain.oxidation_states, 0)
    assert site_inputs(plain).shape[1] == 25
    # 0 if unknown.
    bare = SiteNetFeaturizer(oxidation_states="species").transform([rock_salt()])
    np.testing.assert_array_equal(bare.oxidation_states, 0)


def test_sites_of_different_charge_are_not_equivalent():
    # Equivalent by translation, except for the charge.
    lattice, coords = Lattice.orthorhombic(8, 4, 4), [[0, 0, 0], [0.5, 0, 0]]
    alike = Structure(lattice, ["Fe2+", "Fe2+"], coords)
    unlike = Structure(lattice, ["Fe2+", "Fe3+"], coords)
    assert SiteNetFeaturizer(oxidation_states="species").transform([alike, unlike]).n_sites.tolist() == [1, 2]
    assert SiteNetFeaturizer().transform([alike, unlike]).n_sites.tolist() == [1, 1]


def test_guessed_oxidation_states_change_vectors():
    X = SiteNetFeaturizer(oxidation_states="guess").transform([rock_salt()])
    assert dict(zip(X.numbers.tolist(), X.oxidation_states.tolist(), strict=True)) == {11: 1, 17: -1}
    embedder = DeepInfoMaxEmbedder(max_epochs=0, random_state=0, device="cpu").fit(X[[0, 0]])
    unknown = SiteNetFeaturizer(oxidation_states="species").transform([rock_salt()])
    assert np.abs(embedder.transform(X) - embedder.transform(unknown)).max() > 1e-3


# ---- supercells and disorder ----


def test_supercell_determines_the_number_of_sites():
    conventional, choices = rock_salt(), ("orthorhombic", "primitive", "none")
    by_choice = {c: SiteNetFeaturizer(supercell=c).transform([conventional]) for c in choices}
    assert {c: int(X.n_sites[0]) for c, X in by_choice.items()} == {"orthorhombic": 2, "primitive": 2, "none": 8}
    # The counts of a class add up to the sites of the supercell.
    n_columns = {c: np.add.reduceat(X.count, X.pair_offsets[:-1]).tolist() for c, X in by_choice.items()}
    assert n_columns["primitive"] == [2, 2]
    assert n_columns["none"] == [8, 8]
    assert 25 < n_columns["orthorhombic"][0] <= 50
    limited = SiteNetFeaturizer(max_sites=16).transform([conventional])
    assert np.add.reduceat(limited.count, limited.pair_offsets[:-1]).max() <= 16


def test_symprec_is_the_tolerance_of_translations():
    structure = rock_salt(primitive=True).make_supercell([2, 1, 1], in_place=False)
    structure.translate_sites([0], [0.01, 0, 0], frac_coords=False)
    assert SiteNetFeaturizer().transform([structure]).n_sites == [4]
    assert SiteNetFeaturizer(symprec=0.02).transform([structure]).n_sites == [2]


def test_a_larger_distance_tol_merges_more_pairs(formation_crystals):
    pairs = [len(SiteNetFeaturizer(distance_tol=t).transform(formation_crystals[:9]).distance) for t in (0, 1e-3, 0.1)]
    assert pairs[0] > pairs[1] > pairs[2]


def test_majority_species_replaces_disordered_sites():
    alloy = Structure(Lattice.cubic(3.9), [{"Cu": 0.7, "Au": 0.3}, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    ordered = Structure(Lattice.cubic(3.9), ["Cu", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    featurizer = SiteNetFeaturizer(disordered="majority")
    assert_same_crystals(featurizer.transform([alloy]), featurizer.transform([ordered]))
    with pytest.raises(ValueError, match=r"row 0 .*: site 0 is disordered .*pass disordered='majority'"):
        SiteNetFeaturizer().transform([alloy])


def test_uncompressed_crystals_have_all_sites_and_pairs(formation_crystals):
    X = SiteNetFeaturizer(compress=False).transform(formation_crystals[:5])
    assert (X.count == 1).all()
    assert (X.multiplicity == 1).all()
    np.testing.assert_array_equal(np.diff(X.class_offsets), X.n_sites)


# ---- order of sites ----


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("supercell", ["orthorhombic", "none"])
def test_site_classes_are_in_the_order_of_the_input(compress, supercell, formation_crystals):
    rng = np.random.default_rng(0)
    structures = []
    for structure in formation_crystals[:20]:
        repeated = structure.make_supercell([[1, 1, 0], [0, 1, 0], [0, 0, 2]], in_place=False)
        structures.append(Structure.from_sites([repeated[i] for i in rng.permutation(len(repeated))]))
    X = SiteNetFeaturizer(compress=compress, supercell=supercell).transform(structures)
    assert np.diff(X.site_offsets).tolist() == [len(s) for s in structures]
    for structure, x in zip(structures, X, strict=True):
        np.testing.assert_array_equal(x.numbers[x.site_class], [site.specie.Z for site in structure])
        # Each primitive site corresponds to the same number of input sites.
        share = np.bincount(x.site_class) / x.multiplicity
        assert (share == len(structure) / x.n_sites[0]).all()
        # The distance to the nearest neighbour of each site, from pymatgen.
        first, _, _, distance = structure.get_neighbor_list(r=4.5)
        rows = np.repeat(np.arange(len(x.numbers)), np.diff(x.pair_offsets))
        for site, c in enumerate(x.site_class):
            nearest = x.distance[(rows == c) & (x.distance > 0)].min()
            assert nearest == pytest.approx(distance[first == site].min(), abs=2e-3)


def test_site_vectors_are_in_the_order_of_the_input(formation_crystals, untrained):
    structures = [s for s in formation_crystals if len(s) > 1][:12]
    repeated = [s.make_supercell([2, 1, 1], in_place=False) for s in structures]
    vectors, rows = untrained.transform_sites(SiteNetFeaturizer().transform(repeated))
    sizes = [len(s) for s in repeated]
    np.testing.assert_array_equal(rows, np.repeat(np.arange(len(repeated)), sizes))
    assert vectors.shape == (sum(sizes), 64)
    original, original_rows = untrained.transform_sites(SiteNetFeaturizer().transform(structures))
    compared = 0
    for k, (structure, small) in enumerate(zip(repeated, structures, strict=True)):
        of_crystal = vectors[rows == k]
        numbers = np.array([site.specie.Z for site in structure])
        means = {z: of_crystal[numbers == z].mean(axis=0) for z in set(numbers.tolist())}
        spread = max(np.abs(of_crystal[numbers == z] - mean).max() for z, mean in means.items())
        apart = [np.abs(a - b).max() for p, a in means.items() for q, b in means.items() if p < q]
        assert min(apart, default=np.inf) > spread, "vectors of different elements are too similar"
        compared += len(apart)
        # Copies of a site have the same vector.
        for site, vector in zip(structure, of_crystal, strict=True):
            delta = small.lattice.get_fractional_coords(site.coords) - small.frac_coords
            copy_of = np.linalg.norm((delta - np.rint(delta)) @ small.lattice.matrix, axis=1).argmin()
            np.testing.assert_allclose(vector, original[original_rows == k][copy_of], atol=1e-4)
    assert compared >= len(structures), "most crystals have several elements"


def test_valid_structures_raise_no_warning(formation_crystals):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        X = SiteNetFeaturizer(on_error="warn").transform(formation_crystals[:5])
    assert caught == []
    assert not X.failed.any()
