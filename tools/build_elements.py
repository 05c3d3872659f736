"""Write the tables of elements that skdim ships: ``elements.csv`` and ``oxidation_states.csv``.

Run ``python tools/build_elements.py`` after a change here or to take up new pymatgen data, then refresh the hashes
pinned in ``tests/chemistry/test_elements.py``. It needs pymatgen and nothing else; what pymatgen lacks is below, each
value under a key of ``SOURCES`` that says where it comes from. ``OVERRULED`` lists the few values of pymatgen that the
table does not take. The output depends only on this file and on pymatgen's element data.
"""

import argparse
import csv
import io
import math
import re
import warnings
from pathlib import Path

from pymatgen.analysis.molecule_structure_comparator import CovalentRadius
from pymatgen.core import Element

MAX_Z = 103

PROPERTIES = {
    "atomic_number": "Z",
    "atomic_weight": "u; for elements without stable isotopes, of one isotope",
    "row": "period, 1 to 7; La-Lu 6, Ac-Lr 7",
    "group": "IUPAC group, 1 to 18; 3 for all of La-Lu and Ac-Lr",
    "first_ionization_energy": "eV",
    "electronegativity": "Pauling scale",
    "atomic_radius": "angstrom, Slater's empirical radius",
    "density": "g/cm3 of the condensed phase: solid or liquid at 25 C, gases as the liquid at the boiling point",
    "covalent_radius": "angstrom, single bond; sp2 for C, mean over spin states for Mn, Fe, Co",
    "mendeleev_number": "position on Pettifor's chemical scale as pymatgen numbers it, 1 (He) to 103 (H)",
    "electron_affinity": "eV; negative where the anion is unbound, such values are estimates",
    "n_valence": "electrons outside the preceding noble gas's shells (Magpie's convention: filled d and f count)",
    "n_valence_s": "s electrons among n_valence",
    "n_valence_p": "p electrons among n_valence",
    "n_valence_d": "d electrons among n_valence",
    "n_valence_f": "f electrons among n_valence",
    "melting_point": "K at 1 atm; He under pressure, As at its triple point, C sublimes",
    "second_ionization_energy": "eV, from the ion of charge +1",
    "third_ionization_energy": "eV, from the ion of charge +2",
    "max_oxidation_state": "the largest of pymatgen's common oxidation states, of all its states where none is common",
    "min_oxidation_state": "the smallest of the same states",
    "boiling_point": "K at 1 atm; C and As sublime",
    "ionic_radius": "angstrom, Shannon's crystal radius averaged over the oxidation states, anions included",
    "molar_volume": "cm3/mol of atoms in the phase of density: solid or liquid at 25 C, gases as the liquid at the "
    "boiling point",
    "van_der_waals_radius": "angstrom",
}

SOURCES = {
    "definition": "follows from the atomic number",
    "pymatgen": "pymatgen Element, its own estimates included, e.g. melting points of Fm-Lr (covalent_radius: "
    "CovalentRadius, i.e. Cordero et al., Dalton Trans. 2008, 2832)",
    "eos": "saturated liquid at the normal boiling point from the reference equations of state, as CoolProp evaluates "
    "them (Bell et al., Ind. Eng. Chem. Res. 53, 2498 (2014))",
    "crc": "CRC Handbook of Chemistry and Physics, 97th ed.; density: liquid at 25 C (Br, Hg), at -62 C (Rn); "
    "boiling_point: where pymatgen's is more than 3 % off",
    "from-density": "atomic_weight / density of this table: gases, Br and Hg, of which pymatgen has other phases; Tm, "
    "where its molar volume contradicts its density",
    "xray": "from the measured lattice: Am (dhcp), Es (fcc); The Chemistry of the Actinide and Transactinide Elements",
    "imputed:allen": "Allen's configuration energy in Pauling units: Mann, Meek, Allen, JACS 122, 2780 (2000); it is "
    "within 0.04 of Pauling's value for Kr and Xe",
    "imputed:clementi": "calculated radius, Clementi, Raimondi, Reinhardt, J. Chem. Phys. 47, 1300 (1967), from "
    "pymatgen, whose radius of Ar is of this kind as well",
    "imputed:covalent-radius": "the covalent_radius of this table: Slater's radii follow it (atomic_radius); H and the "
    "noble gases bind covalently (ionic_radius)",
    "imputed:pyykko": "single-bond radius of Pyykko and Atsumi, Chem. Eur. J. 15, 186 (2009)",
    "imputed:predicted": "never weighed; At: Hermann, Hoffmann, Ashcroft, PRL 111, 116404 (2013); Fm-Lr: predictions "
    "compiled in the mendeleev package",
    "imputed:group-neighbours": "continued geometrically from the two elements above: molar volume of Fr (density), "
    "boiling_point of Fr and At",
    "imputed:last-electron": "no electron is left to remove: the ionization energy of the element's last one, "
    "which any further one would exceed",
    "imputed:bare-atom": "no oxidation state in pymatgen: 0, that of the element itself",
    "imputed:row-neighbours": "Pa: mean of Th and U",
    "imputed:estimated": "never measured; estimates in the literature as Wikipedia compiles them",
    "imputed:homologue": "of the lanthanide whose metal has the same valence: Yb for Fm, Md and No (2), Lu for Lr (3); "
    "not below the melting_point, which makes it that of Fm",
    "imputed:contraction": "crystal radius of the 3+ ion of the lanthanide above plus 0.038, as Cf over Dy",
    "imputed:from-density": "atomic_weight / density of this table, where the density is an estimate",
}

# Values of pymatgen's that are not taken: property -> symbols.
OVERRULED = {
    "boiling_point": ("C", "Si", "Cu", "Pr", "U"),
    "molar_volume": ("H", "He", "N", "O", "F", "Ne", "Cl", "Ar", "Br", "Kr", "Xe", "Tm", "Hg", "Rn"),
}

# Symbol -> (value, source), for what pymatgen has no value for or is overruled in. fill() computes the others.
BY_HAND = {
    "electronegativity": {
        "He": (4.160, "imputed:allen"),
        "Ne": (4.787, "imputed:allen"),
        "Ar": (3.242, "imputed:allen"),
    },
    "density": {
        "H": (0.07085, "eos"),
        "He": (0.1247, "eos"),
        "N": (0.8061, "eos"),
        "O": (1.141, "eos"),
        "F": (1.502, "eos"),
        "Ne": (1.206, "eos"),
        "Cl": (1.564, "eos"),
        "Ar": (1.395, "eos"),
        "Br": (3.1028, "crc"),
        "Kr": (2.417, "eos"),
        "Xe": (2.942, "eos"),
        "Hg": (13.5336, "crc"),
        "At": (8.91, "imputed:predicted"),
        "Rn": (4.4, "crc"),
        "Am": (13.67, "xray"),
        "Es": (8.84, "xray"),
        "Fm": (9.7, "imputed:predicted"),
        "Md": (10.3, "imputed:predicted"),
        "No": (9.9, "imputed:predicted"),
        "Lr": (15.6, "imputed:predicted"),
    },
    "covalent_radius": {
        "Bk": (1.68, "imputed:pyykko"),
        "Cf": (1.68, "imputed:pyykko"),
        "Es": (1.65, "imputed:pyykko"),
        "Fm": (1.67, "imputed:pyykko"),
        "Md": (1.73, "imputed:pyykko"),
        "No": (1.76, "imputed:pyykko"),
        "Lr": (1.61, "imputed:pyykko"),
    },
    "boiling_point": {
        "C": (4098.15, "crc"),
        "Si": (3538.15, "crc"),
        "Cu": (2833.15, "crc"),
        "Pr": (3793.15, "crc"),
        "U": (4404.15, "crc"),
        "Bk": (2900, "imputed:estimated"),
        "Cf": (1743, "imputed:estimated"),
        "Es": (1269, "imputed:estimated"),
    },
    "van_der_waals_radius": {"Lr": (2.46, "crc")},
}


def n_valence(element, orbital=None):
    """Count the electrons in a configuration such as ``[Ar].3d6.4s2`` that stand outside the bracketed core."""
    shells = re.findall(r"\d([spdf])(\d+)", element.electronic_structure.split("]")[-1])
    return sum(int(count) for kind, count in shells if orbital in (None, kind))


def nth_ionization_energy(element, n):
    """The energy of the n-th ionisation, or None where there are not n electrons."""
    return element.ionization_energies[n - 1] if n <= element.Z else None


def oxidation_state(element, choose):
    """The largest or smallest (``choose``) of the common oxidation states, or of all; None where there is none."""
    return choose(element.common_oxidation_states or element.oxidation_states, default=None)


def pymatgen_value(name, element):
    """Return pymatgen's value in the units of ``PROPERTIES``, or None where it has none or is overruled."""
    if element.symbol in OVERRULED.get(name, ()):
        return None
    read = {
        "atomic_weight": lambda: element.atomic_mass,
        "group": lambda: element.group,
        "first_ionization_energy": lambda: element.ionization_energy,
        "electronegativity": lambda: element.X,
        "atomic_radius": lambda: element.atomic_radius,
        # pymatgen holds kg/m3
        "density": lambda: element.density_of_solid and element.density_of_solid / 1000,
        "covalent_radius": lambda: CovalentRadius.radius.get(element.symbol),
        "mendeleev_number": lambda: element.mendeleev_no,
        "electron_affinity": lambda: element.electron_affinity,
        "n_valence": lambda: n_valence(element),
        "n_valence_s": lambda: n_valence(element, "s"),
        "n_valence_p": lambda: n_valence(element, "p"),
        "n_valence_d": lambda: n_valence(element, "d"),
        "n_valence_f": lambda: n_valence(element, "f"),
        "melting_point": lambda: element.melting_point,
        "second_ionization_energy": lambda: nth_ionization_energy(element, 2),
        "third_ionization_energy": lambda: nth_ionization_energy(element, 3),
        "max_oxidation_state": lambda: oxidation_state(element, max),
        "min_oxidation_state": lambda: oxidation_state(element, min),
        "boiling_point": lambda: element.boiling_point,
        # pymatgen returns 0 for a gap
        "ionic_radius": lambda: element.average_ionic_radius or None,
        "molar_volume": lambda: element.molar_volume,
        "van_der_waals_radius": lambda: element.van_der_waals_radius,
    }[name]
    with warnings.catch_warnings():
        # pymatgen warns and returns NaN or None for a gap; build() then asks the tables by hand, or fails
        warnings.simplefilter("ignore")
        value = read()
    return None if value is None or math.isnan(value) else float(value)


def fill(name, element):
    """Return the value and source key for a gap of pymatgen's."""
    if element.symbol in BY_HAND.get(name, {}):
        return BY_HAND[name][element.symbol]
    if name == "atomic_radius" and element.group == 18:
        return float(element.atomic_radius_calculated), "imputed:clementi"
    if name == "atomic_radius" or (name == "ionic_radius" and (element.Z == 1 or element.group == 18)):
        return value_and_source("covalent_radius", element)[0], "imputed:covalent-radius"
    if name == "density" and element.symbol == "Fr":
        volume = {s: Element(s).atomic_mass / pymatgen_value("density", Element(s)) for s in ("Rb", "Cs")}
        return round(float(element.atomic_mass * volume["Rb"] / volume["Cs"] ** 2), 2), "imputed:group-neighbours"
    if name.endswith("ionization_energy") and element.Z < 3:
        return float(element.ionization_energies[-1]), "imputed:last-electron"
    if name.endswith("oxidation_state") and element.group == 18:
        return 0.0, "imputed:bare-atom"
    if name == "boiling_point" and element.symbol in ("At", "Fr", "Pa", "Fm", "Md", "No", "Lr"):
        return fill_boiling_point(element)
    if name == "ionic_radius" and element.Z > 98:
        ion = {symbol: Element(symbol).ionic_radii[3] for symbol in ("Cf", "Dy")}
        above = Element.from_Z(element.Z - 32).ionic_radii[3]
        return round(float(above + ion["Cf"] - ion["Dy"]), 3), "imputed:contraction"
    if name == "molar_volume":
        density, source = value_and_source("density", element)
        key = "imputed:from-density" if source.startswith("imputed:") else "from-density"
        return round(float(element.atomic_mass) / density, 2), key
    raise ValueError(f"no {name} for {element.symbol}: add it to BY_HAND with its source")


def fill_boiling_point(element):
    """Return the value and source key of a boiling point that nobody has measured."""

    def of(symbol):
        return value_and_source("boiling_point", Element(symbol))[0]

    above = {"At": ("Br", "I"), "Fr": ("Rb", "Cs")}
    if element.symbol in above:
        two_above, one_above = map(of, above[element.symbol])
        return round(one_above**2 / two_above), "imputed:group-neighbours"
    if element.symbol == "Pa":
        return round((of("Th") + of("U")) / 2), "imputed:row-neighbours"
    homologue = {"Fm": "Yb", "Md": "Yb", "No": "Yb", "Lr": "Lu"}[element.symbol]
    return max(of(homologue), value_and_source("melting_point", element)[0]), "imputed:homologue"


def value_and_source(name, element):
    """Return one cell of the table and its source key."""
    if name == "atomic_number":
        return element.Z, "definition"
    if name == "row":
        return 1 + sum(z < element.Z for z in (2, 10, 18, 36, 54, 86)), "definition"
    value = pymatgen_value(name, element)
    return (value, "pymatgen") if value is not None else fill(name, element)


def build():
    """Return the text of the csv."""
    out = io.StringIO()
    out.write("# Elemental properties, Z = 1 to 103, written by tools/build_elements.py: do not edit by hand.\n")
    for title, table in (("Columns", PROPERTIES), ("Sources", SOURCES)):
        out.write(f"# {title}\n")
        out.writelines(f"#   {key} = {text}\n" for key, text in table.items())
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["symbol"] + [column for name in PROPERTIES for column in (name, f"{name}_source")])
    for z in range(1, MAX_Z + 1):
        element = Element.from_Z(z)
        cells = [value_and_source(name, element) for name in PROPERTIES]
        writer.writerow([element.symbol] + [text for value, key in cells for text in (format(value, ".8g"), key)])
    return out.getvalue()


def build_oxidation_states():
    """Return the text of the csv of oxidation states."""
    out = io.StringIO()
    out.write("# Oxidation states, Z = 1 to 103, written by tools/build_elements.py: do not edit by hand.\n")
    out.write("#   common = pymatgen's common states; 0 for elements without any\n")
    out.write("#   observed = these, and pymatgen's icsd_oxidation_states: at least 10 entries of the ICSD, and 1 %\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["symbol", "common", "observed"])
    for z in range(1, MAX_Z + 1):
        element = Element.from_Z(z)
        common = element.common_oxidation_states or (0,)
        observed = {*element.common_oxidation_states, *element.icsd_oxidation_states} or {0}
        writer.writerow([element.symbol, *(" ".join(map(str, sorted(each))) for each in (common, observed))])
    return out.getvalue()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the tables of elements that skdim ships.")
    folder = Path(__file__).parents[1] / "skdim" / "_chemistry"
    parser.add_argument(
        "--output", type=Path, default=folder, metavar="FOLDER", help="folder of the tables (skdim/_chemistry)"
    )
    folder = parser.parse_args().output
    for name, text in {"elements.csv": build(), "oxidation_states.csv": build_oxidation_states()}.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
        print(f"wrote {name}")
