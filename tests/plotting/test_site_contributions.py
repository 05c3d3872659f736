"""SiteContributionDisplay: which atoms are drawn where, their colours, and the title."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pymatgen.core import Lattice, Structure
from sklearn.pipeline import make_pipeline

from skdim import SiteNetFeaturizer, SiteNetRegressor
from skdim.inspection import site_contributions
from skdim.plotting import SiteContributionDisplay
from skdim.plotting._crystal_drawing import draw_cell
from tests.helpers.small_estimators import SMALL

matplotlib = pytest.importorskip("matplotlib", reason="needs the extra 'plot'")

CAESIUM_CHLORIDE = Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
#: Edges of the cell are parallel to the axes of the figure, or to the line of sight.
FRONT = (0.0, -90.0)


def drawn(structure, view=FRONT):
    return draw_cell(structure.lattice.matrix, structure.frac_coords, np.array(structure.atomic_numbers), *view)


def test_atoms_on_corners_and_faces_are_repeated():
    cell = drawn(CAESIUM_CHLORIDE)
    assert np.bincount(cell.site).tolist() == [8, 1]
    on_a_face = Structure(Lattice.cubic(4), ["Po", "O"], [[0.5, 0.5, 0.999], [0.0, 0.0, 0.5]])
    assert np.bincount(drawn(on_a_face).site).tolist() == [2, 4]


def test_the_view_is_a_projection_onto_the_plane():
    cell = drawn(CAESIUM_CHLORIDE)
    corners = cell.site == 0
    assert_allclose(np.abs(cell.positions[corners]), 2.05)
    assert_allclose(np.abs(cell.depth[corners]), 2.05)
    assert_allclose(cell.positions[~corners], [[0, 0]], atol=1e-9)
    # Seen from -y: x to the right, z up, small y in front.
    ordered = drawn(Structure(Lattice.orthorhombic(3, 4, 5), ["H"], [[0.1, 0.2, 0.3]]))
    assert_allclose(ordered.positions, [[0.3 - 1.5, 1.5 - 2.5]])
    assert_allclose(ordered.depth, [2 - 0.8])
    for view in ((20.0, 30.0), (-70.0, 200.0)):
        turned = drawn(CAESIUM_CHLORIDE, view)
        lengths = np.hypot(*turned.positions[turned.site == 0].T) ** 2 + turned.depth[turned.site == 0] ** 2
        assert_allclose(lengths, 3 * 2.05**2)


def test_bonds_connect_the_surfaces_of_near_atoms():
    cell = drawn(CAESIUM_CHLORIDE)
    assert len(cell.bonds) == 8  # Cl to each corner; Cs and Cs, 4.1 angstrom apart, are no nearest neighbours
    length = np.linalg.norm(cell.bonds[:, 0] - cell.bonds[:, 1], axis=1)
    assert (length < 4.1 * np.sqrt(2) / 2).all()
    far = drawn(Structure(Lattice.cubic(12), ["He", "He"], [[0.2, 0.2, 0.2], [0.7, 0.7, 0.7]]))
    assert not len(far.bonds)
    assert_allclose(np.abs(far.edges).max(), 6)


def test_edges_inside_of_spheres_are_not_drawn():
    empty = drawn(Structure(Lattice.cubic(4.1), ["Cl"], [[0.5, 0.5, 0.5]]))
    assert len(empty.edges) > len(drawn(CAESIUM_CHLORIDE).edges) > 0


def test_colours_are_those_of_the_contributions_from_back_to_front():
    display = SiteContributionDisplay.from_contributions(CAESIUM_CHLORIDE, [0.5, -0.25], unit="eV", view=FRONT)
    assert len(display.circles_) == 9
    scale = matplotlib.colormaps["RdBu_r"]
    for circle, site in zip(display.circles_, display.sites_, strict=True):
        assert_allclose(circle.get_facecolor(), scale([1.0, 0.25][site]), atol=0.01)
    orders = [circle.get_zorder() for circle in display.circles_]
    assert orders == sorted(orders)
    assert display.sites_.tolist() == [0] * 4 + [1] + [0] * 4
    assert display.colorbar_.mappable.get_clim() == (-0.5, 0.5)
    assert display.colorbar_.ax.get_ylabel() == "Contribution (eV)"
    assert display.ax_.get_title() == "CsCl"
    assert {text.get_text() for text in display.ax_.texts} == {"Cs", "Cl"}


def test_limits_labels_and_axes_can_be_chosen():
    _, ax = matplotlib.pyplot.subplots()
    options = {"vmax": 2.0, "labels": False, "ax": ax, "prediction": 1.5, "baseline": 2.0}
    display = SiteContributionDisplay.from_contributions(CAESIUM_CHLORIDE, [0.0, -0.5], **options)
    assert display.ax_ is ax
    assert not ax.texts
    assert display.colorbar_.mappable.get_clim() == (-2, 2)
    assert ax.get_title() == "CsCl: 1.50 (baseline 2.00, sites −0.50)"
    large = SiteContributionDisplay.from_contributions(CAESIUM_CHLORIDE, [0, 0], prediction=-1234.5, baseline=0.125)
    assert large.ax_.get_title() == "CsCl: −1234 (baseline 0, sites −1235)"
    zero = SiteContributionDisplay.from_contributions(CAESIUM_CHLORIDE, [0, 0])
    assert zero.colorbar_.mappable.get_clim() == (-1, 1)


def test_from_estimator_takes_structures_or_crystals(X, y, structures):
    regressor = SiteNetRegressor(**SMALL, max_epochs=1).fit(X[:30], y[:30])
    model = make_pipeline(SiteNetFeaturizer(), regressor)
    expected = site_contributions(regressor, X[[33]], X[:30])
    displays = [
        SiteContributionDisplay.from_estimator(model, structures[33], structures[:30]),
        SiteContributionDisplay.from_estimator(regressor, structures[33], X[:30], crystal=X[[33]]),
    ]
    for display in displays:
        assert_allclose(display.contributions, expected.sites["contribution"], atol=1e-5)
        assert_allclose(display.prediction, expected.predictions[0], rtol=1e-5)
        assert_allclose(display.baseline, expected.baseline, rtol=1e-5)
        assert set(display.sites_) == set(range(len(structures[33])))


def test_disordered_sites_are_drawn_as_their_first_species():
    alloy = Structure(Lattice.cubic(3), [{"Cu": 0.6, "Au": 0.4}], [[0, 0, 0]])
    assert len(SiteContributionDisplay.from_contributions(alloy, [1.0]).circles_) == 8


def test_errors_name_what_is_wrong(X, y, structures):
    for values in ([1.0], [1.0, 2.0, 3.0], [1.0, np.nan]):
        with pytest.raises(ValueError, match="a finite number for each of the 2 sites"):
            SiteContributionDisplay.from_contributions(CAESIUM_CHLORIDE, values)
    with pytest.raises(TypeError, match="must be a pymatgen Structure; got a str"):
        SiteContributionDisplay.from_contributions("NaCl.cif", [1.0])
    regressor = SiteNetRegressor(**SMALL, max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="one crystal"):
        SiteContributionDisplay.from_estimator(regressor, structures[0], X, crystal=X[:2])
    with pytest.raises(ValueError, match="a finite number for each of the 2 sites"):
        SiteContributionDisplay.from_estimator(regressor, CAESIUM_CHLORIDE, X, crystal=X[[0]])
    model = make_pipeline(SiteNetFeaturizer(on_error="warn"), regressor)
    large = CAESIUM_CHLORIDE.copy()
    large.perturb(0.2)
    large.make_supercell([4, 4, 4])
    large.perturb(0.2)
    with pytest.raises(ValueError, match="failed to featurize"), pytest.warns(UserWarning, match="1 of 1"):
        SiteContributionDisplay.from_estimator(model, large, structures)
