"""Write ``skdim/elements.csv``, the table behind ``skdim._elements``.

Run ``python tools/build_elements.py`` after a change here or to take up new pymatgen data, then refresh the hashes
pinned in ``tests/test_elements.py``. It needs pymatgen and nothing else; what pymatgen lacks stands below by hand, each
value under a key of ``SOURCES`` that says where it comes from. The output depends only on this file and on pymatgen's
element data.
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
}

SOURCES = {
    "definition": "follows from the atomic number",
    "pymatgen": "pymatgen Element, its own estimates included, e.g. melting points of Fm-Lr (covalent_radius: "
    "CovalentRadius, i.e. Cordero et al., Dalton Trans. 2008, 2832)",
    "eos": "saturated liquid at the normal boiling point from the reference equations of state, as CoolProp evaluates "
    "them (Bell et al., Ind. Eng. Chem. Res. 53, 2498 (2014))",
    "crc": "CRC Handbook of Chemistry and Physics, 97th ed.: liquid at 25 C (Br, Hg), at -62 C (Rn)",
    "xray": "from the measured lattice: Am (dhcp), Es (fcc); The Chemistry of the Actinide and Transactinide Elements",
    "imputed:allen": "Allen's configuration energy in Pauling units: Mann, Meek, Allen, JACS 122, 2780 (2000); it is "
    "within 0.04 of Pauling's value for Kr and Xe",
    "imputed:clementi": "calculated radius, Clementi, Raimondi, Reinhardt, J. Chem. Phys. 47, 1300 (1967), from "
    "pymatgen, whose radius of Ar is of this kind as well",
    "imputed:covalent-radius": "the covalent_radius of this table, which Slater's radii follow",
    "imputed:pyykko": "single-bond radius of Pyykko and Atsumi, Chem. Eur. J. 15, 186 (2009)",
    "imputed:predicted": "never weighed; At: Hermann, Hoffmann, Ashcroft, PRL 111, 116404 (2013); Fm-Lr: predictions "
    "compiled in the mendeleev package",
    "imputed:group-neighbours": "Fr: molar volume continued geometrically from Rb and Cs",
}

# What pymatgen has no value for: property -> symbol -> (value, source). Fr's density is computed below.
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
}


def n_valence(element, orbital=None):
    """Count the electrons in a configuration such as ``[Ar].3d6.4s2`` that stand outside the bracketed core."""
    shells = re.findall(r"\d([spdf])(\d+)", element.electronic_structure.split("]")[-1])
    return sum(int(count) for kind, count in shells if orbital in (None, kind))


def pymatgen_value(name, element):
    """Return pymatgen's value in the units of ``PROPERTIES``, or None where it has none."""
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
    if name == "atomic_radius":
        return value_and_source("covalent_radius", element)[0], "imputed:covalent-radius"
    if name == "density" and element.symbol == "Fr":
        volume = {s: Element(s).atomic_mass / pymatgen_value("density", Element(s)) for s in ("Rb", "Cs")}
        return round(float(element.atomic_mass * volume["Rb"] / volume["Cs"] ** 2), 2), "imputed:group-neighbours"
    raise ValueError(f"no {name} for {element.symbol}: add it to BY_HAND with its source")


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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the table of elemental properties that skdim ships.")
    table = Path(__file__).parents[1] / "skdim" / "elements.csv"
    parser.add_argument("--output", type=Path, default=table, help="where it goes (skdim/elements.csv)")
    path = parser.parse_args().output
    path.write_text(build(), encoding="utf-8", newline="\n")
    print(f"wrote {path.name}")
