"""skdim.baselines: values by definition and by other libraries, and behaviour of the transformers."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pymatgen.analysis.diffraction.xrd import DiffractionPattern, XRDCalculator
from pymatgen.core import Lattice, Structure
from scipy.spatial import QhullError
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.utils import estimator_checks

from skdim.baselines import MagpieFeatures, OrbitalFieldMatrix, XRDPattern, _orbital_field, _voronoi
from skdim.baselines._base import import_matminer
from skdim.baselines._voronoi import voronoi_faces
from skdim.datasets import make_crystals
from tests.helpers import assertions
from tests.house.test_conformance import OnRows, assert_conventions

#: In matminer's unit of length, the angstrom star, which is 1.5e-5 longer than an angstrom.
BOHR = 0.529177210903 / 1.00001495
KINDS = [MagpieFeatures, OrbitalFieldMatrix, XRDPattern]

ROCK_SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
POLONIUM = Structure(Lattice.cubic(3.34), ["Po"], [[0, 0, 0]])
TRICLINIC = Structure(
    Lattice.from_parameters(4.1, 5.3, 6.2, 82, 97, 104),
    ["Fe", "O", "O"],
    [[0, 0, 0], [0.31, 0.42, 0.53], [0.7, 0.6, 0.1]],
)
GRAPHENE = Structure(Lattice.from_parameters(2.46, 2.46, 30, 90, 90, 120), ["C", "C"], [[0, 0, 0], [1 / 3, 2 / 3, 0]])
SLAB = Structure(Lattice.from_parameters(3.2, 3.2, 30, 90, 90, 120), ["Mo", "S"], [[0, 0, 0], [1 / 3, 2 / 3, 0.05]])


@pytest.fixture(scope="module")
def structures():
    return make_crystals(30, random_state=0)[0]


@pytest.fixture(scope="module")
def matminer():
    return pytest.importorskip("matminer", reason="needs the extra 'baselines'")


@pytest.fixture(params=KINDS)
def transformer(request):
    if request.param is OrbitalFieldMatrix:
        request.getfixturevalue("matminer")
    return request.param()


# -- orbital field matrix ----------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")  # matminer's vectors
@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # pymatgen's use of spglib
@pytest.mark.parametrize("period", [False, True])
def test_orbital_field_matrix_is_that_of_matminer(period, formation_crystals, matminer):
    from matminer.featurizers.structure import OrbitalFieldMatrix as MatminerMatrix

    crystals = [POLONIUM, TRICLINIC, ROCK_SALT, *[s for s in formation_crystals if len(s) <= 6][:8]]
    transformer = OrbitalFieldMatrix(period=period)
    reference = MatminerMatrix(period_tag=period, flatten=True)
    expected = np.array([reference.featurize(structure.copy()) for structure in crystals])
    # matminer treats sites as equivalent within 0.01 angstrom.
    assert_allclose(transformer.transform(crystals), expected, rtol=1e-3, atol=1e-3)
    assert_allclose(transformer.transform(crystals[:3]), expected[:3], rtol=1e-9, atol=1e-9)
    assert [f"OFM: {name}" for name in transformer.get_feature_names_out()] == reference.feature_labels()


def test_orbital_field_matrix_of_rock_salt(matminer):
    frame = OrbitalFieldMatrix().set_output(transform="pandas").transform([POLONIUM, ROCK_SALT])
    # matminer's Po is 6s2 4f14 5d10 6p4; it has six neighbours with equal faces.
    po = frame.loc[0][frame.loc[0] > 0]
    assert_allclose(po, 6 / (3.34 / BOHR), rtol=1e-6)
    assert "s^2 - p^4" in po.index
    # Na is s1, Cl s2 p5; each has six neighbours of the other kind.
    salt = frame.loc[1][frame.loc[1] > 1e-9]
    names = {"s^1 - s^2", "s^1 - p^5", "s^2 - s^1", "p^5 - s^1"}
    assert names <= set(salt.index)
    assert_allclose(salt[sorted(names)], 3 / (2.82 / BOHR), rtol=1e-6)


def test_rows_are_orbitals_of_neighbours_and_columns_of_sites(matminer):
    frame = OrbitalFieldMatrix().set_output(transform="pandas").transform([TRICLINIC]).iloc[0]
    faces = voronoi_faces(TRICLINIC.lattice.matrix, TRICLINIC.frac_coords)
    largest = [faces.solid_angle[faces.center == site].max() for site in range(3)]
    weight = faces.solid_angle / np.array(largest)[faces.center] / (faces.distance / BOHR)
    iron = faces.center == 0
    assert_allclose(frame["p^4 - d^6"], weight[iron & (faces.neighbour > 0)].sum() / 3, rtol=1e-6)  # O next to Fe
    assert_allclose(frame["d^6 - p^4"], weight[~iron & (faces.neighbour == 0)].sum() / 3, rtol=1e-6)
    assert abs(frame["p^4 - d^6"] - frame["d^6 - p^4"]) > 1e-3


@pytest.mark.parametrize(
    "structure", [POLONIUM, TRICLINIC, ROCK_SALT, SLAB, GRAPHENE], ids=["Po", "FeO2", "NaCl", "MoS", "C"]
)
def test_solid_angles_of_each_site_sum_to_4_pi(structure, monkeypatch):
    faces = voronoi_faces(structure.lattice.matrix, structure.frac_coords)
    n_sites = len(structure)
    assert_allclose(np.bincount(faces.center, faces.solid_angle), np.full(n_sites, 4 * np.pi), rtol=1e-9)
    # Each face has two sides.
    pairs = np.bincount(faces.center * n_sites + faces.neighbour, minlength=n_sites**2).reshape(n_sites, n_sites)
    assert_array_equal(pairs, pairs.T)
    for first_reach in (0.8, 6.0):  # too few atoms to start with, and more than needed
        monkeypatch.setattr(_voronoi, "_FIRST_REACH", first_reach)
        again = voronoi_faces(structure.lattice.matrix, structure.frac_coords)
        for moment in (1, 2, 3):
            expected = np.bincount(faces.center, faces.solid_angle**moment / faces.distance)
            assert_allclose(np.bincount(again.center, again.solid_angle**moment / again.distance), expected, rtol=1e-8)


def test_error_if_the_tessellation_fails(monkeypatch):
    """The search for a sufficient cutoff radius ends."""
    tried = []

    def fail(points):
        tried.append(len(points))
        raise QhullError("flat")

    monkeypatch.setattr(_voronoi, "Voronoi", fail)
    with pytest.raises(ValueError, match="its sites have no Voronoi tessellation: check the coordinates"):
        voronoi_faces(ROCK_SALT.lattice.matrix, ROCK_SALT.frac_coords)
    assert len(tried) > 1
    assert tried == sorted(tried)


def test_faces_of_a_box_have_known_solid_angles():
    a, b, c = 2.0, 3.0, 5.0
    faces = voronoi_faces(np.diag([a, b, c]), np.zeros((1, 3)))

    def rectangle(u, v, d):
        """Solid angle of a rectangle of sides u and v, seen from a distance d above its centre."""
        return 4 * np.arcsin(u * v / np.sqrt((u**2 + 4 * d**2) * (v**2 + 4 * d**2)))

    for d, u, v in [(a, b, c), (b, a, c), (c, a, b)]:
        angles = faces.solid_angle[np.isclose(faces.distance, d)]
        assert_allclose(np.sort(angles)[-2:], rectangle(u, v, d / 2), rtol=1e-9)


@pytest.mark.parametrize(
    ("structure", "match"),
    [
        (
            Structure(Lattice.cubic(4), ["Na", "Cl"], [[0, 0, 0], [0, 0, 0.999]]),
            r"\(NaCl\): sites 0 and 1 are less than",
        ),
        (Structure(Lattice.orthorhombic(0.4, 9, 9), ["Na"], [[0.2, 0, 0]]), r"\(Na\): periodic images of site 0 are"),
        (Structure(Lattice.cubic(4), ["Am"], [[0, 0, 0]]), r"\(Am\): no orbitals are tabulated for atomic number 95"),
    ],
)
def test_errors_name_why_there_is_no_orbital_field_matrix(structure, match, matminer):
    with pytest.raises(ValueError, match=f"row 1 {match}"):
        OrbitalFieldMatrix().transform([ROCK_SALT, structure])


# -- X-ray pattern -----------------------------------------------------------------------------------------------------


def test_peaks_are_at_bragg_angles():
    pattern = XRDPattern(n_bins=170, fwhm=0.5).set_output(transform="pandas").transform([POLONIUM]).iloc[0]
    middles = np.array([float(name.removeprefix("two_theta_")) for name in pattern.index])
    assert_allclose(middles, np.arange(5.25, 90, 0.5))
    # Spacing 3.34 angstrom, Cu K alpha: (100), (110), (111).
    for square in (1, 2, 3):
        angle = np.degrees(2 * np.arcsin(1.54184 / 2 / (3.34 / np.sqrt(square))))
        nearby = np.abs(middles - angle) < 1.5
        assert abs(middles[nearby][pattern.to_numpy()[nearby].argmax()] - angle) <= 0.5
        assert pattern.to_numpy()[nearby].sum() > 0.02
    assert_allclose(pattern.sum(), 1)


def test_pattern_is_that_of_pymatgen_broadened(formation_crystals):
    crystals = formation_crystals[::9]
    patterns = XRDPattern(two_theta_range=(20, 60), n_bins=40, fwhm=1.0).transform(crystals)
    fine = np.linspace(20, 60, 40 * 200 + 1)
    sigma = 1.0 / 2.3548200450309493
    for row, structure in zip(patterns, crystals, strict=True):
        peaks = XRDCalculator().get_pattern(structure, two_theta_range=(10, 70))
        curve = (np.array(peaks.y)[:, None] * np.exp(-((fine - np.array(peaks.x)[:, None]) ** 2) / 2 / sigma**2)).sum(0)
        expected = ((curve[1:] + curve[:-1]) / 2).reshape(40, 200).sum(axis=1)
        assert_allclose(row, expected / expected.sum(), atol=2e-5)


def test_pattern_changes_smoothly_with_the_lattice():
    cells = [Structure(Lattice.cubic(a), ["Po"], [[0, 0, 0]]) for a in np.linspace(3.30, 3.34, 41)]
    patterns = XRDPattern(n_bins=170, fwhm=0.5).transform(cells)
    steps = np.abs(np.diff(patterns, axis=0)).sum(axis=1)
    assert steps.max() < 0.1
    assert np.abs(patterns[0] - patterns[-1]).sum() > 0.5


def test_longer_wavelengths_shift_peaks():
    copper, named = XRDPattern(wavelength=1.54184), XRDPattern(wavelength="CuKa")
    assert_array_equal(copper.transform([TRICLINIC]), named.transform([TRICLINIC]))
    assert np.abs(XRDPattern(wavelength="MoKa").transform([TRICLINIC]) - named.transform([TRICLINIC])).sum() > 0.2


def test_errors_name_why_there_is_no_pattern():
    with pytest.raises(ValueError, match=r"row 0 \(NaCl\): no diffraction peak from 5 to 10 degrees 2 theta"):
        XRDPattern(two_theta_range=(5, 10), n_bins=5, fwhm=0.5).transform([ROCK_SALT])
    nobelium = Structure(Lattice.cubic(4), ["No"], [[0, 0, 0]])
    with pytest.raises(ValueError, match=r"row 0 \(No\): pymatgen has no X-ray scattering parameters of No"):
        XRDPattern().transform([nobelium])


@pytest.mark.parametrize(("edge", "wavelength"), [(1000.0, "CuKa"), (5.6, 0.01)])
def test_too_many_reflections_are_refused(edge, wavelength):
    structure = Structure(Lattice.cubic(edge), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(ValueError, match=r"row 0 \(NaCl\): its cell .* has about .e\+.. reflections up to 104 degrees"):
        XRDPattern(wavelength=wavelength).transform([structure])


def test_a_range_without_peaks_is_refused(monkeypatch):
    """If pymatgen returns an empty pattern instead of raising an error."""
    empty = DiffractionPattern(np.zeros(0), np.zeros(0), [], [])
    monkeypatch.setattr(XRDCalculator, "get_pattern", lambda *args, **options: empty)
    with pytest.raises(ValueError, match=r"row 0 \(NaCl\): no diffraction peak from 5 to 90 degrees 2 theta"):
        XRDPattern().transform([ROCK_SALT])


@pytest.mark.parametrize("wrong", [(90, 5), (5, 200), (-5, 90), (5,), ("a", "b"), (np.nan, 90)])
def test_bad_two_theta_range_is_refused(wrong):
    with pytest.raises(ValueError, match="two ascending angles within 0 and 180"):
        XRDPattern(two_theta_range=wrong).fit([ROCK_SALT])


def test_bad_wavelength_is_refused():
    with pytest.raises(ValueError, match="one of CuKa, "):
        XRDPattern(wavelength="copper").fit([ROCK_SALT])


# -- all of them -------------------------------------------------------------------------------------------------------


def test_features_do_not_depend_on_the_choice_of_cell(transformer, formation_crystals):
    few = [s for s in formation_crystals if len(s) <= 8][:8]
    scale = np.abs(transformer.transform(few)).max()
    atol = 1e-6 * scale
    assertions.assert_unchanged_by_rotation(transformer.transform, few, atol)
    assertions.assert_unchanged_by_translation(transformer.transform, few, atol)
    assertions.assert_unchanged_by_site_order(transformer.transform, few, atol)
    assertions.assert_unchanged_by_supercell(transformer.transform, few, atol)
    assertions.assert_unchanged_by_lattice_choice(transformer.transform, few, atol)
    assertions.assert_inputs_unchanged(transformer.transform, few)


def test_rows_and_names_match(transformer, structures):
    values = transformer.transform(structures)
    assert values.shape == (30, len(transformer.get_feature_names_out()))
    assert values.dtype == np.float64
    assert np.isfinite(values).all()
    assert len(set(transformer.get_feature_names_out())) == values.shape[1]
    assert_array_equal(transformer.transform(structures[3:5]), values[3:5])
    series = pd.Series(structures, index=range(100, 130))
    assert_array_equal(clone(transformer).fit_transform(series), values)
    frame = clone(transformer).set_output(transform="pandas").fit_transform(series)
    assert_array_equal(frame.columns, transformer.get_feature_names_out())
    assert_array_equal(frame, values)


def test_polars_output_has_the_names_and_rows(transformer, structures):
    polars = pytest.importorskip("polars", reason="needs the extra 'test'")
    frame = clone(transformer).set_output(transform="polars").fit_transform(structures[:3])
    assert isinstance(frame, polars.DataFrame)
    assert frame.columns == transformer.get_feature_names_out().tolist()
    assert_array_equal(frame.to_numpy(), transformer.transform(structures[:3]))


def test_processes_give_the_same_rows_with_a_progress_bar(transformer, structures, capsys):
    values = transformer.transform(structures)
    assert not capsys.readouterr().err
    assert_array_equal(clone(transformer).set_params(n_jobs=2, verbose=1).transform(structures), values)
    assert type(transformer).__name__ in capsys.readouterr().err
    clone(transformer).set_params(verbose=1).transform(structures[:2])
    assert "2 of 2 structures" in capsys.readouterr().err


def test_bad_rows_raise_or_are_nan(transformer):
    rows = [ROCK_SALT, None, TRICLINIC]
    with pytest.raises(ValueError, match="row 1: the structure is missing") as caught:
        transformer.transform(rows)
    assert caught.value.row == 1
    with pytest.warns(UserWarning, match="1 of 3 structures have no features; their rows are NaN. The first: row 1"):
        values = transformer.set_params(on_error="warn").transform(rows)
    assert_array_equal(np.isnan(values).all(axis=1), [False, True, False])
    assert_array_equal(values[[0, 2]], transformer.transform([ROCK_SALT, TRICLINIC]))


def test_features_that_are_not_finite_are_refused(transformer, monkeypatch):
    n = len(transformer.get_feature_names_out())
    monkeypatch.setattr(type(transformer), "_function", lambda self: lambda s: [np.nan, np.inf] + [0.0] * (n - 2))
    with pytest.raises(ValueError, match=r"row 0 \(NaCl\): 2 of its features are not finite"):
        transformer.transform([ROCK_SALT])
    with pytest.warns(UserWarning, match="1 of 1 structures have no features"):
        assert np.isnan(transformer.set_params(on_error="warn").transform([ROCK_SALT])).all()


def test_errors_in_other_processes_name_the_row():
    rows = [ROCK_SALT] * 40 + [None] + [TRICLINIC] * 8
    with pytest.raises(ValueError, match="row 40: the structure is missing"):
        XRDPattern(n_jobs=2).transform(rows)
    with pytest.warns(UserWarning, match="1 of 49 structures .* row 40"):
        values = XRDPattern(n_jobs=2, on_error="warn").transform(rows)
    assert_array_equal(np.flatnonzero(np.isnan(values).any(axis=1)), [40])


def test_disordered_sites_raise_or_take_the_majority(transformer):
    mixed = Structure(Lattice.cubic(5), [{"Na": 0.75, "K": 0.25}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(ValueError, match=r"row 0 .*disordered='majority'"):
        transformer.transform([mixed])
    salt = Structure(Lattice.cubic(5), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert_array_equal(transformer.set_params(disordered="majority").transform([mixed]), transformer.transform([salt]))


def test_transform_needs_no_fit(transformer, structures):
    before = transformer.transform(structures[:2])  # without fit
    assert vars(clone(transformer).fit(structures)).keys() == vars(transformer).keys()
    assert_array_equal(transformer.fit(structures[5:]).transform(structures[:2]), before)


def test_parameters_follow_scikit_learn(transformer):
    assert_conventions(transformer)


class Rows(OnRows):
    """Accepts numeric tables, for scikit-learn's checks."""

    def fit(self, X, y=None):
        return super().fit(self.structures(X), y)

    def transform(self, X):
        return super().transform(self.structures(X, reset=False))


class RowsMagpie(Rows, MagpieFeatures):
    pass


class RowsMatrix(Rows, OrbitalFieldMatrix):
    pass


class RowsPattern(Rows, XRDPattern):
    pass


@estimator_checks.parametrize_with_checks([RowsMagpie(), RowsMatrix(), RowsPattern()])
def test_checks_of_scikit_learn(estimator, check, request):
    if isinstance(estimator, OrbitalFieldMatrix):
        request.getfixturevalue("matminer")
    check(estimator)


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        (MagpieFeatures, {"impute": "yes"}),
        (OrbitalFieldMatrix, {"period": 2}),
        (XRDPattern, {"n_bins": 0}),
        (XRDPattern, {"fwhm": 0}),
        (XRDPattern, {"wavelength": -1.0}),
        *[(kind, params) for kind in KINDS for params in ({"on_error": "skip"}, {"n_jobs": 1.5}, {"disordered": None})],
    ],
)
def test_bad_parameters_are_refused(kind, params, structures):
    with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter of {kind.__name__}"):
        kind(**params).fit(structures)


def test_unions_of_baselines_work_in_cross_validation(structures, matminer):
    y = make_crystals(30, random_state=0)[1]
    union = FeatureUnion([("magpie", MagpieFeatures()), ("ofm", OrbitalFieldMatrix()), ("xrd", XRDPattern(n_bins=20))])
    forest = make_pipeline(union, RandomForestRegressor(20, random_state=0))
    assert np.isfinite(cross_val_score(forest, structures, y, cv=3, error_score="raise")).all()
    names = union.fit(structures).get_feature_names_out()
    assert len(names) == 132 + 1024 + 20
    assert names[0] == "magpie__minimum Number"


def test_error_without_matminer_names_the_extra(monkeypatch):
    _orbital_field._orbitals.cache_clear()
    for name in ["matminer", *(name for name in sys.modules if name.startswith("matminer."))]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'pip install "skdim-crystals\[baselines\]"'):
        OrbitalFieldMatrix().transform([ROCK_SALT])
    for transformer in (MagpieFeatures(), XRDPattern()):
        assert np.isfinite(transformer.transform([ROCK_SALT])).all()


def test_a_broken_matminer_raises_its_own_error(monkeypatch):
    """A missing dependency of matminer is not reported as missing matminer."""

    def broken(name):
        raise ModuleNotFoundError("No module named 'sympy'", name="sympy")

    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="No module named 'sympy'"):
        import_matminer("data")


def test_import_needs_neither_matminer_nor_torch():
    code = "import sys; sys.modules['matminer'] = None; import skdim.baselines; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
