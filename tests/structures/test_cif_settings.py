"""A random crystal in every setting of every space group, written in several ways and read back."""

import gemmi
import numpy as np
import pytest

from skdim._structures.cif import read_cif

SETTINGS = list(gemmi.spacegroup_table())


def operations(setting):
    """Rotations (n, 3, 3) and translations (n, 3)."""
    ops = list(setting.operations())
    rotations = np.array([op.rot for op in ops]) / gemmi.Op.DEN
    return rotations, np.array([op.tran for op in ops]) / gemmi.Op.DEN


def random_lattice(rng, rotations):
    """Edges, angles and vectors of a random cell that the rotations leave as it is."""
    vectors = rng.normal(size=(3, 3)) * 0.3 + np.eye(3)
    metric = vectors @ vectors.T
    metric = (np.swapaxes(rotations, 1, 2) @ metric @ rotations).mean(axis=0)
    lengths = np.sqrt(np.diag(metric))
    metric *= (rng.uniform(11, 13) / np.cbrt(np.sqrt(np.linalg.det(metric)))) ** 2
    lengths = np.sqrt(np.diag(metric))
    angles = [np.degrees(np.arccos(metric[i, j] / lengths[i] / lengths[j])) for i, j in ((1, 2), (0, 2), (0, 1))]
    return lengths, angles, np.linalg.cholesky(metric)


def special_position(rng, rotations, translations):
    """A random point that at least one operation leaves unmoved; None if no such point is found."""
    for _ in range(40):
        k = rng.integers(1, len(rotations))
        matrix, shift = rotations[k], translations[k] + rng.integers(-1, 2, size=3)
        points = [rng.uniform(size=3)]
        while len(points) < 7:
            points.append(matrix @ points[-1] + shift)
            if np.allclose(points[-1], points[0], atol=1e-9):
                return np.mean(points[:-1], axis=0)
    return None


def images(point, rotations, translations):
    """All different images of a point in the cell, one by one."""
    kept = []
    for matrix, shift in zip(rotations, translations, strict=True):
        image = matrix @ point + shift
        if not any(np.abs(image - other - np.rint(image - other)).max() < 1e-5 for other in kept):
            kept.append(image)
    return np.array(kept)


def nearest(points, vectors):
    gaps = points[:, None] - points
    gaps -= np.rint(gaps)
    distances = np.sqrt(np.square(gaps @ vectors).sum(axis=2))
    return (distances + 9 * np.eye(len(points))).min()


def random_crystal(rng, setting):
    """Cell, atoms of the asymmetric unit, and all atoms of the cell."""
    rotations, translations = operations(setting)
    lengths, angles, vectors = random_lattice(rng, rotations)
    while True:
        special = special_position(rng, rotations, translations) if len(rotations) > 1 else None
        atoms = {"Na": rng.uniform(size=3), "Cl": rng.uniform(size=3) if special is None else special}
        whole = {element: images(point, rotations, translations) for element, point in atoms.items()}
        assert special is None or len(whole["Cl"]) < len(rotations)
        if nearest(np.concatenate(list(whole.values())), vectors) > 0.3:
            return (lengths, angles, vectors), atoms, whole


def cif_of(cell, atoms, symmetry, digits=7):
    lengths, angles, _ = cell
    lines = ["data_x"]
    lines += [f"_cell_length_{name} {value:.6f}" for name, value in zip("abc", lengths, strict=True)]
    names = "alpha", "beta", "gamma"
    lines += [f"_cell_angle_{name} {value:.6f}" for name, value in zip(names, angles, strict=True)]
    lines += [symmetry, "loop_", *(f"_atom_site_{name}" for name in ("label", "fract_x", "fract_y", "fract_z"))]
    lines += [f"{label} " + " ".join(f"{x:.{digits}f}" for x in point) for label, point in atoms.items()]
    return "\n".join(lines) + "\n"


def ways(setting):
    """The symmetry of a setting as files give it."""
    listed = "".join(f"'{operation.triplet()}'\n" for operation in setting.operations())
    yield f"loop_\n_symmetry_equiv_pos_as_xyz\n{listed}"
    quote = '"' if "'" in setting.xhm() else "'"
    yield f"_symmetry_space_group_name_H-M {quote}{setting.xhm()}{quote}\n_symmetry_Int_Tables_number {setting.number}"
    yield f"_space_group_name_Hall\n;{setting.hall}\n;"


def assert_same_sites(structure, whole, atol=1e-6):
    for element, expected in whole.items():
        read = np.array([site.frac_coords for site in structure if site.specie.symbol == element])
        assert read.shape == expected.shape, (element, len(read), len(expected))
        gaps = read[:, None] - expected
        gaps = np.abs(gaps - np.rint(gaps)).max(axis=2)
        assert (gaps.min(axis=1) < atol).all()
        assert len(set(gaps.argmin(axis=1))) == len(expected)


def test_the_table_is_complete():
    assert len(SETTINGS) > 550
    assert {setting.number for setting in SETTINGS} == set(range(1, 231))


@pytest.mark.parametrize("first", range(0, len(SETTINGS), 50))
def test_every_setting_is_read_as_it_was_expanded(first):
    for k in range(first, min(first + 50, len(SETTINGS))):
        setting, rng = SETTINGS[k], np.random.default_rng(k)
        cell, atoms, whole = random_crystal(rng, setting)
        for symmetry in ways(setting):
            try:
                structure, warnings = read_cif(cif_of(cell, atoms, symmetry), "the CIF text")
                assert warnings == []
                assert_same_sites(structure, whole)
            except Exception as error:
                error.add_note(f"{setting.xhm()}, {symmetry[:40]}")
                raise
            np.testing.assert_allclose(structure.lattice.abc, cell[0], rtol=1e-6)
            np.testing.assert_allclose(structure.lattice.angles, cell[1], atol=1e-5)


@pytest.mark.parametrize("digits", [2, 3, 4])
def test_rounded_special_positions_are_not_doubled(digits):
    for k in range(0, len(SETTINGS), 7):
        setting, rng = SETTINGS[k], np.random.default_rng(k)
        cell, atoms, whole = random_crystal(rng, setting)
        symmetry = next(ways(setting))
        if nearest(np.concatenate(list(whole.values())), cell[2]) < 1:
            continue
        structure, warnings = read_cif(cif_of(cell, atoms, symmetry, digits), "the CIF text")
        assert_same_sites(structure, whole, atol=2 * 10.0**-digits)
        assert warnings == [], setting.xhm()
