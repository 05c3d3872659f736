"""The rules of docs/reading.md for CIFs, one by one."""

import re

import numpy as np
import pytest

from skdim import SiteNetFeaturizer
from skdim._structures.cif import read_cif
from skdim._structures.errors import ReadError, StructureError
from skdim._structures.read import read_structure

OTHER_AXIS = (5, 6, 7, 90, 90, 98)
CUBIC, MONOCLINIC, ORTHORHOMBIC = (5.64, 5.64, 5.64, 90, 90, 90), (5, 6, 7, 90, 98, 90), (5, 6, 7, 90, 90, 90)
HEXAGONAL, RHOMBOHEDRAL, DIAMOND = (3.2, 3.2, 5.2, 90, 90, 120), (5, 5, 5, 57, 57, 57), (3.57, 3.57, 3.57, 90, 90, 90)
P1 = "_symmetry_space_group_name_H-M 'P 1'\n"
SALT = ["Na1 Na 0 0 0", "Cl1 Cl .5 .5 .5"]
TYPED = "label type_symbol fract_x fract_y fract_z"


def cif(atoms, head=P1, cell=ORTHORHOMBIC, columns=TYPED, operations=()):
    names = [f"_cell_length_{axis}" for axis in "abc"] + [f"_cell_angle_{n}" for n in ("alpha", "beta", "gamma")]
    lines = ["data_x", head, *(f"{name} {value}" for name, value in zip(names, cell, strict=False))]
    if operations:
        lines += ["loop_", "_symmetry_equiv_pos_as_xyz", *operations]
    lines += ["loop_", *(f"_atom_site_{name}" for name in columns.split()), *atoms]
    return "\n".join(lines) + "\n"


def symbol(text):
    return f"_symmetry_space_group_name_H-M '{text}'\n"


def read(*args, **options):
    """Formula of the cell, and the warnings as one text."""
    structure, warnings = read_cif(cif(*args, **options), "the CIF text")
    return formula_of(structure), "; ".join(warnings)


def formula_of(structure):
    """In the order of the sites."""
    counts: dict = {}
    for site in structure:
        for species, share in site.species.items():
            counts[species.symbol] = counts.get(species.symbol, 0) + share
    return " ".join(f"{symbol}{count:g}" for symbol, count in counts.items())


def refusal(*args, **options):
    with pytest.raises(ReadError) as error:
        read_cif(cif(*args, **options), "the CIF text")
    return str(error.value)


# Elements


@pytest.mark.parametrize(
    ("text", "element"),
    [
        *[(text, "Na") for text in ("Na", "NA", "na", "Na+", "Na1+", "Na+1", "Na(1+)", "Na1", "23Na", "23-Na")],
        *[(text, "O") for text in ("O2-", "O-2", "O1-", "O2\u2212", "o")],
        *[(text, "H") for text in ("D", "2H", "D+", "1H", "3H")],
        *[("Fe2.5+", "Fe"), ("Co", "Co"), ("co", "Co"), ("Hg", "Hg"), ("He", "He"), ("7Li", "Li"), ("CL", "Cl")],
    ],
)
def test_type_symbols(text, element):
    assert read([f"A1 {text} .1 .2 .3", "Zr Zr 0 0 0"]) in [
        (f"{a} {b}", "") for a, b in (("Zr1", f"{element}1"), (f"{element}1", "Zr1"))
    ]


@pytest.mark.parametrize("text", ["OH", "Wat", "H2O", "NH4", "Cp", "O2H", "CH3", "CO", "HO", "CN"])
def test_groups_are_refused(text):
    assert re.search("atom 'A1': its type .*(is a group|may mean)", refusal([f"A1 {text} .1 .2 .3"]))


@pytest.mark.parametrize(
    "text", ["A", "M", "Q1x", "Uuo", "O/F", "Na,K", "(OH)", "Fe+99", "99Li", "Zz", "1", "0+", "Fe\u00b3\u207a"]
)
def test_other_types_are_refused(text):
    assert "atom 'A1': its type " in refusal([f"A1 {text} .1 .2 .3"])


def test_formula_or_other_symbols_decide_about_capitals():
    assert read(["C1 CO .1 .2 .3", "S1 S 0 0 0"], head=P1 + "_chemical_formula_sum 'Co S'")[0] == "Co1 S1"
    assert read(["C1 CO .1 .2 .3", "C2 CL 0 0 0"])[0] == "Co1 Cl1"
    assert "is a group" in refusal(["C1 OH .1 .2 .3", "C2 CL 0 0 0"])
    assert "may mean Co" in refusal(["C1 CO .1 .2 .3", "S1 S 0 0 0"], head=P1 + "_chemical_formula_sum 'C O S'")


@pytest.mark.parametrize("label", ["Na1", "Na", "Na(1)", "Na_1", "Na1A", "Na1'"])
def test_labels(label):
    assert read([f"{label} .1 .2 .3"], columns="label fract_x fract_y fract_z") == ("Na1", "")


@pytest.mark.parametrize(
    "label", ["1", "OW1", "Wat", "OH1", "T1", "M1", "Cp1", "CA1", "Al/Si", "(Na)", "1Na", "H2O", "Na/K1"]
)
def test_labels_without_an_element_are_refused(label):
    assert f"atom '{label}': its label" in refusal([f"{label} .1 .2 .3"], columns="label fract_x fract_y fract_z")


def test_names_of_sites_need_a_formula_that_agrees():
    columns, atoms = "label fract_x fract_y fract_z", ["SiT1 .1 .2 .3", "OA1 0 0 0", "OB2 .5 .5 .5"]
    formula, warned = read(atoms, columns=columns, head=P1 + "_chemical_formula_sum 'Si O2'")
    assert formula == "Si1 O2"
    assert "the elements of atoms 'SiT1', 'OA1', 'OB2' are those of their first letters" in warned
    for other in ("Si O3", "Si O2 H", "Si2 O2"):
        assert "'SiT1'" in refusal(atoms, columns=columns, head=P1 + f"_chemical_formula_sum '{other}'")


@pytest.mark.parametrize("text", ["Va", "Vac", "VA", "X", "Du", "\u25a1", "Cg"])
def test_vacancies_are_left_out_and_named(text):
    formula, warned = read([*SALT, f"Q9 {text} .2 .2 .2"])
    assert formula == "Na1 Cl1"
    assert "left out as vacancies or dummy atoms: Q9" in warned


def test_rows_without_coordinates():
    formula, warned = read(["H1 H ? ? ?", "O1 O 0 0 0"])
    assert (formula, warned) == ("O1", "left out as atoms without coordinates: H1")
    assert "atom 'O2' has no coordinates" in refusal(["O2 O . . .", "O1 O 0 0 0"])
    assert "atom 'H1' has the coordinate z" in refusal(["H1 H 0 0 ?", "O1 O 0 0 0"])
    assert "atom 'H1' is at -1 -1 -1" in refusal(["H1 H -1. -1. -1.", "O1 O 0 0 0"])


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.25(3)", 0.25), ("1/4", 0.25), ("\u00bc", 0.25), ("\u22120.75", 0.25), ("+.25", 0.25), ("2.5e-1", 0.25)],
)
def test_coordinates(text, value):
    structure, warned = read_cif(cif([f"Na1 Na {text} 0 0"]), "the CIF text")
    assert warned == []
    np.testing.assert_allclose(structure.frac_coords, [[0.25, 0, 0]])


@pytest.mark.parametrize(
    "text", ["0,25", "1\u00bd", "0.5\u00e9", "nan", "inf", "1e400", "1/0", "'.'", "x", "1e9", "0.25.1", "--1"]
)
def test_other_coordinates_are_refused(text):
    assert "atom 'Na1' has the coordinate x = " in refusal([f"Na1 Na {text} 0 0"])


# Occupancies


def test_occupancies():
    columns = TYPED + " occupancy"
    for text in ("1", ".", "?", "1.00(2)", "1.002(5)", "1.0005"):
        structure = read_structure(cif([f"Na1 Na 0 0 0 {text}"], columns=columns), 0)
        assert formula_of(structure) == "Na1"
    for text in ("1.1", "-0.1", "100", "x", "0.5,"):
        assert "atom 'Na1' has " in refusal([f"Na1 Na 0 0 0 {text}"], columns=columns)
    assert "occupancies sum to more than 1" in refusal(["Na1 Na 0 0 0 .7", "K1 K 0 0 0 .5"], columns=columns)


def test_isotopes_and_ions_share_a_site():
    columns = TYPED + " occupancy"
    text = cif(["Fe1 Fe2+ .1 .2 .3 .4", "Fe2 Fe3+ .1 .2 .3 .6", "O1 O2- 0 0 0 1"], columns=columns)
    assert formula_of(read_structure(text, 0)) == "Fe1 O1"
    with pytest.raises(StructureError, match=r"site 0 is disordered .*Fe2\+ 0.4, Fe3\+ 0.6"):
        read_structure(text, 0, oxidation_states=True)
    with pytest.raises(StructureError, match="disordered"):
        SiteNetFeaturizer(oxidation_states="species").transform([text])
    assert SiteNetFeaturizer(oxidation_states="guess").transform([text]).formulas == ["FeO"]
    partly = cif(["H1 H .1 .2 .3 .3", "D1 D .1 .2 .3 .3"], columns=columns)
    with pytest.raises(StructureError, match="partly vacant"):
        read_structure(partly, 0)


def test_the_majority_is_that_of_the_occupancies():
    columns = TYPED + " occupancy"
    text = cif(["H1 H .1 .2 .3 .9", "O1 O .1 .2 .3 .1", "Zr1 Zr 0 0 0 1"], columns=columns)
    assert formula_of(read_structure(text, 0, disordered="majority")) == "H1 Zr1"
    text = cif(["Fe1 Fe2+ 0 0 0 .3", "Fe2 Fe3+ 0 0 0 .3", "Mn1 Mn 0 0 0 .4"], columns=columns)
    assert formula_of(read_structure(text, 0, disordered="majority")) == "Fe1"


def test_alternatives_need_occupancies():
    columns = TYPED + " disorder_group"
    atoms = ["C1 C .1 .2 .3 1", "C2 C .4 .2 .3 2", "C3 C 0 0 0 ."]
    assert "atoms C1, C2 are alternatives of each other" in refusal(atoms, columns=columns)
    assert read([*atoms[::2]], columns=columns)[0] == "C2"


def test_what_is_only_counted_is_named():
    assert "attached to O1 are not listed" in read(["O1 O 0 0 0 2"], columns=TYPED + " attached_hydrogens")[1]


def test_an_atom_written_twice_is_counted_once():
    formula, warned = read(["Na1 Na 0 0 0", "Na2 Na 1 0 0", "Cl1 Cl .5 .5 .5"])
    assert formula == "Na1 Cl1"
    assert "counted once: 'Na2' (as 'Na1')" in warned
    formula, warned = read(["Na1 Na 0 0 0", "Na2 Na .5 .5 .5"], head=symbol("I m m m"))
    assert formula == "Na2"
    assert "counted once: 'Na2' (as 'Na1')" in warned


# Symmetry


@pytest.mark.parametrize(
    ("operations", "match"),
    [
        (["x,y,z", "y,x,z"], "'y,x,z' does not fit the cell"),
        (["x,y,z", "x,y,0"], "'x,y,0' is singular"),
        (["x,y,z", "'2x,y,z'"], "'2x,y,z' is singular or changes the volume"),
        (["x,y,z", "-x,-y,z+1/3"], "are not a group"),
        (["-x,-y,-z"], "are not a group"),
        (["x,y,z", "x,y,z,-x"], "does not have three parts"),
        (["x,y,z", "'-x,-y,-z and more'"], "is not understood at '-zandmore'"),
        (["x,y,z", "-x,-y,-z/"], "is not understood at '-z/'"),
        (["x,y,z", "-x,-y,-z+1/0"], "is not understood"),
        (["x,y,z", "-x,-y,-z+0.37"], "the translation 0.37 .* is not a fraction"),
        (["x,y,z", "'-x,-y,-z~'"], "is not understood at '-z~'"),
        (["x,y,z", "?"], "has no value in row 2"),
        (["x,y,z", "-x,,-z"], "is not understood at ''"),
    ],
)
def test_operations_that_are_not_a_group_of_the_cell_are_refused(operations, match):
    assert re.search(match, refusal(["Na1 Na .1 .2 .3"], operations=operations, head=""))


@pytest.mark.parametrize(
    "operations",
    [
        ["x,y,z", "-x,-y,-z", "-x,-y,-z"],
        ["-x,-y,-z", "x,y,z"],
        ["'X, Y, Z'", "' -X , -Y,- Z'"],
        ["+x,+y,+z", "1-x,-y,-z+2/2"],
        ["x,y,z", "'\u2212x,\u2212y,\u2212z'"],
        ["x,y,z", "-1*x,-y,-z"],
    ],
)
def test_ways_to_write_an_inversion(operations):
    assert read(["Na1 Na .1 .2 .3"], operations=operations, head="") == ("Na2", "")


def test_signs_outside_ascii_are_never_deleted():
    operations = [
        "x,y,z",
        "'\u00bd\u2212x,\u00bd+y,\u00bd\u2212z'",
        "\u2212x,\u2212y,\u2212z",
        "'\u00bd+x,\u00bd\u2212y,\u00bd+z'",
    ]
    structure, _ = read_cif(cif(["Na1 Na .1 .2 .15"], operations=operations, cell=MONOCLINIC, head=""), "the CIF text")
    expected, _ = read_cif(cif(["Na1 Na .1 .2 .15"], cell=MONOCLINIC, head=symbol("P 21/n")), "the CIF text")
    np.testing.assert_allclose(structure.frac_coords, expected.frac_coords)


@pytest.mark.parametrize(
    ("text", "cell", "n"),
    [
        *[
            (text, MONOCLINIC, 4)
            for text in ("P 21/n", "P2(1)/n", "P 2_1/c", "P 1 21/n 1", "p21/c", "P121/n1", "P 21/a")
        ],
        *[
            ("C 2/m", MONOCLINIC, 8),
            ("C12/c1", MONOCLINIC, 8),
            ("P 21/b", (5, 6, 7, 90, 90, 98), 4),
            ("P 21", (5, 6, 7, 90, 90, 98), 2),
        ],
        *[
            (text, CUBIC, 192)
            for text in ("F m -3 m", "Fm-3m", "F m 3 m", "F m -3 m #225", "F m -3 m (#225)", "Fm3\u0305m")
        ],
        *[("R -3 m", HEXAGONAL, 36), ("R -3 m :H", HEXAGONAL, 36), ("R-3mH", HEXAGONAL, 36), ("H -3 m", HEXAGONAL, 36)],
        *[("R -3 m", RHOMBOHEDRAL, 12), ("R -3 m :R", RHOMBOHEDRAL, 12), ("R-3m R", RHOMBOHEDRAL, 12)],
        *[
            ("P 2 2 2", ORTHORHOMBIC, 4),
            ("P 2 2 21", ORTHORHOMBIC, 4),
            ("R 3 2", HEXAGONAL, 18),
            ("C m c e", ORTHORHOMBIC, 16),
        ],
    ],
)
def test_symbols(text, cell, n):
    structure, warned = read_cif(cif(["Na1 Na .113 .279 .361"], head=symbol(text), cell=cell), "the CIF text")
    assert (len(structure), warned) == (n, [])


@pytest.mark.parametrize("way", [" {}", ":{}", " :{}", " (origin {})", ", origin choice {}", " O{}"])
def test_origins(way):
    head = "_chemical_formula_sum C\n_cell_formula_units_Z 8\n"
    for origin, other, position in (("1", "2", "0 0 0"), ("2", "1", ".125 .125 .125")):
        right, wrong = (head + symbol("F d -3 m" + way.format(choice)) for choice in (origin, other))
        assert read([f"C1 C {position}"], cell=DIAMOND, head=right) == ("C8", "")
        warned = read([f"C1 C {position}"], cell=DIAMOND, head=wrong)[1]
        assert "gives C8 (formula C1, Z = 8), and C16 was read" in warned


def test_unspecified_origins():
    """ICSD's letters, the code of the setting, a Hall symbol, or Z; else an error that names the choices."""
    atoms, z = ["C1 C .125 .125 .125"], "_chemical_formula_sum C\n_cell_formula_units_Z 8\n"
    for head in (
        symbol("F d -3 m Z"),
        symbol("F d -3 m") + "_space_group_IT_coordinate_system_code 2\n",
        "_space_group_name_Hall '-F 4vw 2vw 3'\n",
    ):
        assert read(atoms, cell=DIAMOND, head=head) == ("C8", "")
    for head in (symbol("F d -3 m"), "_symmetry_Int_Tables_number 227\n"):
        formula, warned = read(atoms, cell=DIAMOND, head=head + z)
        assert formula == "C8"
        assert "F d -3 m:2 was used" in warned
        assert "write one of 'F d -3 m:1', 'F d -3 m:2'" in refusal(atoms, cell=DIAMOND, head=head)
    density = "_exptl_crystal_density_diffrn 3.51\n"
    assert read(atoms, cell=DIAMOND, head=symbol("F d -3 m") + density)[0] == "C8"


def test_numbers_without_a_symbol():
    assert read(SALT, cell=CUBIC, head="_space_group_IT_number 225\n") == ("Na4 Cl4", "")
    assert "'P 1 21/c 1', 'P 1 21/n 1'" in refusal(
        ["Na1 Na .1 .2 .15"], cell=MONOCLINIC, head="_symmetry_Int_Tables_number 14\n"
    )
    assert "is not one of 1 to 230" in refusal(SALT, head="_space_group_IT_number 231\n")


@pytest.mark.parametrize(
    ("head", "match"),
    [
        (symbol("P n m a") + "_space_group_IT_number 225", "'P n m a', and number 225 is another"),
        (symbol("P n m a") + "_space_group_name_Hall 'P 1'", "'P n m a', and its Hall symbol P 1 is of another one"),
        ("_space_group_name_Hall nonsense", "Hall symbol 'nonsense' is not one"),
        (symbol("P n m x"), "symbol 'P n m x' is not known"),
        (symbol("F m -3 m" + " " * 10**5 + "x"), "is not known"),
        (f"_space_group_name_Hall '{'-P 2' * 10**5}'", "is not one"),
        (symbol("F m -3 m"), "does not fit the cell"),
        ('_space_group_magn.name_BNS "P_a21/c"', "only by _space_group_magn_name_bns"),
        ("_cell_modulation_dimension 1", "modulated"),
    ],
)
def test_symmetry_that_contradicts_itself_is_refused(head, match):
    assert match in refusal(["Na1 Na .1 .2 .3"], head=head)


def test_incomplete_lists():
    """They are used where the atoms or Z show that they are complete, and refused otherwise."""
    head, z = symbol("I m m m"), "_chemical_formula_sum Na\n_cell_formula_units_Z "
    without_centring = [f"{a}x,{b}y,{c}z" for a in ("", "-") for b in ("", "-") for c in ("", "-")]
    for operations in (["x,y,z"], without_centring):
        n = len(operations)
        assert f"lists {n} of the 16 symmetry operations" in refusal(["Na1 Na 0 0 0"], head=head, operations=operations)
        assert "gives Na2" in refusal(["Na1 Na 0 0 0"], head=f"{head}{z}2\n", operations=operations)
        assert read(["Na1 Na 0 0 0"], head=f"{head}{z}1\n", operations=operations) == ("Na1", "")
        assert read(["Na1 Na 0 0 0", "Na2 Na .5 .5 .5"], head=head, operations=operations) == ("Na2", "")
    primitive = ["x,y,z", "-y,x-y,z", "-x+y,-x,z"]  # R 3 in its other cell has as many
    assert "lists 3 of the 9" in refusal(["Na1 Na 0 0 0"], head=symbol("R 3"), cell=HEXAGONAL, operations=primitive)
    formula, warned = read(["Na1 Na .1 .2 .3"], head=P1, operations=["x,y,z", "-x,-y,-z"])
    assert formula == "Na2"
    assert "which are not those of its space group, 'P 1'" in warned


def test_magnetic_files_give_the_cell_of_the_nuclei():
    operations = "loop_\n_space_group_symop_magn_operation.xyz\nx,y,z,+1\n-x,-y,-z,-1\n"
    centring = "loop_\n_space_group_symop_magn_centering.xyz\nx,y,z,+1\nx+1/2,y,z,-1\n"
    parent = "_parent_space_group.name_H-M_alt 'P n m a'\n"
    columns = TYPED + " occupancy"
    atoms = ["Mn1 Mn .1 .2 .3 .5", "O1 O .3 .1 .2 1"]
    assert read(atoms, head=parent + operations, columns=columns) == ("Mn1 O2", "")
    assert read(atoms, head=parent + operations + centring, columns=columns) == ("Mn2 O4", "")
    assert "is not a translation" in refusal(atoms, head=operations + centring.replace("x+1/2", "-x"), columns=columns)


# Special positions


@pytest.mark.parametrize(
    ("position", "moved"),
    [
        *[
            (text, False)
            for text in (".333 .667 .25", "0.3333 0.6667 0.25", "0.33 0.67 .25", "1/3 2/3 1/4", ".333(1) .667(1) .25")
        ],
        ("0.3300 0.6700 0.2500", True),
    ],
)
def test_rounded_special_positions(position, moved):
    structure, warned = read_cif(cif([f"Mg1 Mg {position}"], head=symbol("P 63/m m c"), cell=HEXAGONAL), "the CIF text")
    assert ("atom 'Mg1' was moved by 0.018 angstrom" in " ".join(warned)) == moved == bool(warned)
    np.testing.assert_allclose(sorted(structure.frac_coords.tolist()), [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]])


def test_split_positions_stay_apart():
    """Half-occupied atoms on both sides of a mirror are not one rounded atom."""
    columns = TYPED + " occupancy"
    structure, warned = read_cif(cif(["H1 H 0 .0213 0 .5"], head=symbol("P m"), columns=columns), "the CIF text")
    assert (len(structure), warned) == (2, [])


# Formula, Z, weight, density and volume


@pytest.mark.parametrize(
    ("claims", "match"),
    [
        ("_chemical_formula_sum 'Na Cl'\n_cell_formula_units_Z 4", None),
        ("_chemical_formula_sum 'Na4 Cl4'\n_cell_formula_units_Z 4", None),
        ("_chemical_formula_sum 'Na4 Cl4'\n_cell_formula_units_Z 1", None),
        ("_chemical_formula_sum 'Na Cl'\n_chemical_formula_weight 58.44", None),
        ("_cell_formula_units_Z 4\n_chemical_formula_weight 58.44", None),
        ("_exptl_crystal_density_diffrn 2.16", None),
        ("_cell_volume 179.4(1)", None),
        ("_chemical_formula_sum '?'", None),
        ("_chemical_formula_sum 'Na Cl'\n_cell_formula_units_Z 2", r"gives Na2 Cl2 \(.*Z = 2\), and Na4 Cl4 was read"),
        ("_chemical_formula_sum 'Na Cl O'", "gives the formula Na1 Cl1 O1, and Na4 Cl4 was read"),
        ("_chemical_formula_sum 'Na2 Cl'", "gives the formula Na2 Cl1, and Na4 Cl4 was read"),
        (
            "_chemical_formula_sum 'Na Cl'\n_chemical_formula_weight 42.4",
            "formula weight of 42.4, and its formula 58.44",
        ),
        ("_cell_formula_units_Z 1\n_chemical_formula_weight 58.44", "in all 58.44, and atoms of 233.7.* were read"),
        ("_exptl_crystal_density_diffrn 3.2", "density of 3.2 g/cm3, and Na4 Cl4 was read, with 2.1"),
        ("_cell_volume 187.4", "cell volume of 187.4 cubic angstrom, and its edges and angles 179.4"),
    ],
)
def test_contradictions_are_warnings_or_errors(claims, match):
    text = cif(SALT, head=symbol("F m -3 m") + claims, cell=CUBIC)
    warnings = read_cif(text, "the CIF text")[1]
    if match is None:
        assert warnings == []
        assert len(read_cif(text, "the CIF text", strict=True)[0]) == 8
        return
    assert re.search(match, " ".join(warnings))
    with pytest.raises(ReadError, match=f"contradicts itself: .*{match}"):
        read_cif(text, "the CIF text", strict=True)
    with pytest.warns(UserWarning, match=f"row 0 .*{match}"):
        SiteNetFeaturizer().transform([text])
    with pytest.raises(StructureError, match=f"row 0.*{match}.*without strict_cif"):
        SiteNetFeaturizer(strict_cif=True).transform([text])


def test_multiplicities():
    columns = TYPED + " symmetry_multiplicity"
    for given, match in ((("4", "4"), ""), (("48", "48"), ""), (("4", "8"), "'Cl1' 8 and 4")):
        atoms = [f"{atom} {n}" for atom, n in zip(SALT, given, strict=True)]
        warned = read(atoms, cell=CUBIC, head=symbol("F m -3 m"), columns=columns)[1]
        assert warned == (f"multiplicities in the file, and as read: {match}" if match else "")


# The syntax


def test_values_that_are_given_twice():
    assert read(SALT, head=P1 + "_cell_length_a 5\n") == ("Na1 Cl1", "")
    assert "_cell_length_a is given twice" in refusal(SALT, head=P1 + "_cell_length_a 6\n")
    assert "are in different loops" in refusal(SALT, head=P1 + "loop_\n_atom_site_occupancy\n1\n1\n")
    second = "loop_\n_space_group_symop_operation_xyz\nx,y,z\n"
    assert "two lists of symmetry operations" in refusal(SALT, head=second, operations=["x,y,z", "-x,-y,-z"])


@pytest.mark.parametrize(
    ("cell", "match"),
    [
        ((-5, 6, 7), "edge a is -5"),
        (("?", 6, 7), "lacks '_cell_length_a'"),
        (("5x", 6, 7), "_cell_length_a is '5x'"),
        ((5, 6, 7, 0, 90, 90), "are not those of a cell"),
        ((5, 6, 7, 60, 60, 170), "are not those of a cell"),
    ],
)
def test_invalid_cells_are_refused(cell, match):
    assert match in refusal(SALT, cell=cell)


def test_lines_are_named():
    text = cif(SALT).replace("_cell_length_b 6", "_cell_length_b 6 7")
    with pytest.raises(ReadError, match="line 5 after the start of its data block is not valid CIF"):
        read_cif(text, "the CIF text")


def test_other_blocks_do_not_matter():
    text = "data_global\n_author 'A\nBroken, B.'\n" + cif(SALT) + "data_end\nloop_\n_a\n_b\n1\n"
    assert formula_of(read_cif(text, "the CIF text")[0]) == "Na1 Cl1"


def test_every_row_is_used_or_named():
    """Random rows of all kinds: each is in the structure or in a message."""
    types = ["Na", "O2-", "D", "7Li", "Va", "X", "Cl", "Fe3+"]
    for seed in range(50):
        rng = np.random.default_rng(seed)
        rows, n_left_out = [], 0
        for k in range(int(rng.integers(2, 12))):
            kind, flag = str(rng.choice(types)), str(rng.choice(["d", "dum", "."], p=[0.6, 0.1, 0.3]))
            occupancy = str(rng.choice(["1", ".", "0", "0.5"], p=[0.6, 0.2, 0.1, 0.1]))
            n_left_out += flag == "dum" or kind in ("Va", "X") or occupancy == "0"
            rows.append(f"A{k} {kind} " + " ".join(f"{x:.4f}" for x in rng.uniform(size=3)) + f" {occupancy} {flag}")
        if n_left_out == len(rows):
            continue
        structure, warned = read_cif(
            cif(rows, columns=TYPED + " occupancy calc_flag", cell=(30, 31, 32, 90, 90, 90)), "the CIF text"
        )
        named = re.findall(r"\bA\d+", " ".join(warned))
        assert len(structure) + len(named) == len(rows)
        assert len(named) == n_left_out
        assert {site.label for site in structure} | set(named) == {row.split()[0] for row in rows}
