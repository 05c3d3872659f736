"""Random structures, and the properties that must hold for each; hypothesis searches for counterexamples."""

import warnings

import numpy as np
from hypothesis import strategies as st
from pymatgen.core import Lattice, Species, Structure

from skdim import SiteNetFeaturizer
from skdim._chemistry.elements import SYMBOLS
from skdim._crystals.columns import offsets_fault, values_fault
from skdim._featurizer.featurize_rows import MIN_DISTANCE

SETTINGS = {"max_sites": 40, "on_error": "warn"}
#: Cubic angstrom per site below which a structure is refused.
MIN_VOLUME = 0.1
#: Special fractional coordinates, where symmetry and ties are.
_SPECIAL = [0.0, 0.5, 0.25, 0.75, 1 / 3, 2 / 3, 1 / 6, 0.125, 1.0, -0.5, 1e-12, 0.5 + 1e-9]
_length = st.one_of(st.sampled_from([2.5, 3.0, 4.0, 4.0, 5.64, 8.0]), st.floats(1.0, 20.0))
_angle = st.one_of(st.sampled_from([90.0, 90.0, 60.0, 120.0, 109.4712206, 45.0]), st.floats(20.0, 160.0))


def _lattice(kind, lengths, angles):
    a, b, c = lengths
    if kind == "cubic":
        return np.eye(3) * a
    if kind == "face-centred":
        return a * (np.ones((3, 3)) - np.eye(3)) / 2
    if kind == "body-centred":
        return a * (np.ones((3, 3)) - 2 * np.eye(3)) / 2
    if kind == "tetragonal":
        return np.diag([a, a, c])
    if kind == "orthorhombic":
        return np.diag([a, b, c])
    if kind == "hexagonal":
        return np.array(Lattice.hexagonal(a, c).matrix)
    if kind == "needle":
        return np.diag([a, b, 40 * c])
    cosines = np.cos(np.radians(angles))
    # Not all triples of angles are possible: move them towards right angles until the metric is valid.
    while np.linalg.det(gram := _gram(cosines)) < 1e-3:
        cosines = cosines * 0.9
    return np.linalg.cholesky(gram) * np.array(lengths)[:, None]


def _gram(cosines):
    x, y, z = cosines
    return np.array([[1, z, y], [z, 1, x], [y, x, 1]])


_KINDS = ["cubic", "face-centred", "body-centred", "tetragonal", "orthorhombic", "hexagonal", "needle", "triclinic"]


@st.composite
def structures(draw):
    """A Structure that may be unphysical: sites may coincide, cells may be flat, skewed or repeated."""
    kind = draw(st.sampled_from([*_KINDS, "triclinic", "triclinic"]))
    lattice = _lattice(kind, [draw(_length) for _ in range(3)], [draw(_angle) for _ in range(3)])
    n = draw(st.integers(1, 6))
    special = st.sampled_from(_SPECIAL)
    coords = [[draw(special if draw(st.booleans()) else st.floats(-1.5, 2.5)) for _ in range(3)] for _ in range(n)]
    palette = [draw(st.integers(1, len(SYMBOLS) - 1)) for _ in range(draw(st.integers(1, 3)))]
    numbers = [draw(st.sampled_from(palette)) for _ in range(n)]
    species = [SYMBOLS[z] for z in numbers]
    if draw(st.integers(0, 4)) == 0:
        species = [Species(symbol, draw(st.sampled_from([-2, 0, 1, 2.5]))) for symbol in species]
    structure = Structure(Lattice(lattice), species, coords)
    if draw(st.integers(0, 5)) == 0:  # written down as a larger cell than it needs
        structure = structure.make_supercell(draw(st.sampled_from([(2, 1, 1), (1, 2, 2), (3, 1, 1)])), in_place=False)
    return structure


@st.composite
def rewritings(draw):
    """A function that rewrites a structure as an equivalent one."""
    basis = np.eye(3, dtype=int)
    for _ in range(draw(st.integers(0, 3))):
        i, j = draw(st.sampled_from([(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)]))
        basis[i] += draw(st.sampled_from([-1, 1])) * basis[j]
    axes = draw(st.permutations(range(3)))
    seed = draw(st.integers(0, 2**32 - 1))

    def rewrite(structure):
        rng = np.random.default_rng(seed)
        change = basis[list(axes)]
        q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        q[0] *= np.sign(np.linalg.det(q))
        order = rng.permutation(len(structure))
        coords = structure.frac_coords @ np.linalg.inv(change) + rng.uniform(-1, 1, size=3)
        coords += rng.integers(-2, 3, size=coords.shape)
        lattice = change @ structure.lattice.matrix @ q
        species = [structure[int(k)].specie for k in order]
        return Structure(Lattice(lattice), species, coords[order]), order

    return rewrite


@st.composite
def wild_structures(draw):
    """A Structure with numbers that no crystal has: flat and huge cells, coordinates that are not finite."""
    wild = st.sampled_from([0.0, 1e-300, 1e-8, 0.01, 0.5, 3.0, 5.0, 90.0, 1e4, 1e8, 1e150, 1e308, np.inf, np.nan, -4.0])
    if draw(st.booleans()):
        lattice = _lattice("triclinic", [draw(_length) for _ in range(3)], [draw(_angle) for _ in range(3)])
        for _ in range(draw(st.integers(0, 3))):
            lattice[draw(st.integers(0, 2)), draw(st.integers(0, 2))] = draw(wild)
    else:
        angles = [draw(st.sampled_from([0.01, 0.0, 1e-6, 1.0, 90.0, 179.99, 180.0, 119.999])) for _ in range(3)]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            lattice = Lattice.from_parameters(*(draw(st.sampled_from([3.0, 60.0, 900.0, 1e5])) for _ in "abc"), *angles)
        lattice = lattice.matrix
    n = draw(st.integers(1, 4))
    coords = draw(st.lists(st.lists(st.one_of(wild, st.floats(0, 1)), min_size=3, max_size=3), min_size=n, max_size=n))
    species = [SYMBOLS[draw(st.sampled_from([1, 1, 17]))] for _ in range(n)]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Structure(Lattice(lattice), species, coords)


def featurized(rows, **settings):
    """Featurize; every warning other than that of failed rows is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".* structures could not be featurized")
        return SiteNetFeaturizer(**{**SETTINGS, **settings}).transform(rows)


def check_structure(structure, rewrite):
    """Check every property of one structure; return whether it could be featurized.

    Raises
    ------
    AssertionError
        Where one does not hold.
    """
    before = structure.lattice.matrix.copy(), structure.frac_coords.copy(), list(structure.species)
    other, order = rewrite(structure)
    both = featurized([structure, other])
    assert np.array_equal(structure.lattice.matrix, before[0]), "the input was changed"
    assert np.array_equal(structure.frac_coords, before[1]), "the input was changed"
    assert structure.species == before[2], "the input was changed"
    for row, why in both.errors_.items():
        assert why.startswith(f"row {row} ("), why
    # pymatgen's distances say which structures must be refused. Rounding may decide right at the limit.
    nearest = structure.get_neighbor_list(MIN_DISTANCE + 0.1)[3].min(initial=np.inf)
    flat = structure.volume < MIN_VOLUME * len(structure)
    if abs(nearest - MIN_DISTANCE) > 1e-6:
        refused = [0, 1] if flat or nearest < MIN_DISTANCE else []
        assert sorted(both.errors_) == refused, f"sites {nearest:.3g} angstrom apart, {structure.volume:.3g} A^3"
    if both.errors_:
        return False
    X, Y = both[0], both[1]
    _check_values(X)
    assert len(X.site_class) == len(structure)
    assert len(structure) % X.n_sites[0] == 0
    given = [int(z) for z in structure.atomic_numbers]
    assert X.numbers[X.site_class].tolist() == given, "a site is of the class of another element"
    _check_compression(X, featurized([structure], compress=False))
    _check_same(X, Y, order)
    return True


def check_wild(structure, supercell):
    """Check that a structure with any numbers is featurized or refused; return which."""
    X = featurized([structure], supercell=supercell)
    if X.errors_:
        assert X.errors_[0].startswith("row 0"), X.errors_
        return False
    _check_values(X)
    return True


def check_vectors(structures, embedder):
    """Check that vectors are finite and do not depend on compression or on the order of the rows."""
    settings = {"distance_tol": 1e-6}
    X = featurized(structures, **settings)
    whole = featurized(structures, **settings, compress=False)
    vectors = embedder.transform(X)
    assert np.array_equal(np.isnan(vectors).all(axis=1), X.failed)
    assert np.isfinite(vectors[~X.failed]).all(), "a vector of a crystal is not finite"
    scale = np.abs(vectors[~X.failed]).max(initial=1)
    for same in (embedder.transform(whole), embedder.transform(X[::-1])[::-1]):
        off = np.abs(same - vectors)[~X.failed].max(initial=0)
        assert off <= 1e-4 * scale, f"vectors differ by {off:.2g}"
    return int((~X.failed).sum())


def _check_values(X):
    fault = offsets_fault(X) or values_fault(X)
    assert fault is None, fault


def _pairs(X):
    """(element, neighbour's element, distance, count a primitive cell) of all pairs, sorted."""
    row = np.repeat(np.arange(len(X.numbers)), np.diff(X.pair_offsets))
    count = X.multiplicity[row].astype(np.int64) * X.count
    columns = np.column_stack([X.numbers[row], X.numbers[X.neighbour], X.distance])
    columns = np.repeat(columns, count, axis=0)
    return columns[np.lexsort(columns.T[::-1])]


def _check_compression(X, whole):
    assert not whole.errors_, f"without compression it is refused: {whole.errors_}"
    assert X.n_sites[0] == whole.n_sites[0]
    a, b = _pairs(X), _pairs(whole)
    assert a.shape == b.shape, "compression loses pairs"
    for pair in np.unique(b[:, :2], axis=0):
        merged, every = (np.sort(x[(x[:, :2] == pair).all(axis=1), 2]) for x in (a, b))
        assert merged.shape == every.shape, "compression moves pairs to other elements"
        # A merged pair is the mean of what lies within the tolerance, twice: over a row, and over the rows of a class.
        assert np.abs(merged - every).max() <= 2.5e-3, "compression changes distances"


def _check_same(X, Y, order):
    assert X.n_sites[0] == Y.n_sites[0], "another way to write it down has another primitive cell"
    assert np.array_equal(X.numbers[X.site_class][order], Y.numbers[Y.site_class])
    a, b = _pairs(X), _pairs(Y)
    assert a.shape == b.shape, "another way to write it down has other pairs"
    a, b = (np.sort(x[:, 2]) for x in (a, b))
    assert np.abs(a - b).max() <= 5e-3, f"another way to write it down changes distances by {np.abs(a - b).max():.3g}"
