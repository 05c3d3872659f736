"""Elemental properties: one complete table for Z = 1 to 103, each value with its source.

The table is ``elements.csv`` in this folder. Most values are pymatgen's. Gaps are filled from a handbook or, with a
source key that starts with ``imputed:``, by a documented rule. The comments at the top of the file explain all columns
and keys. ``tools/build_elements.py`` writes it.
"""

import csv
import difflib
import hashlib
from functools import lru_cache
from importlib.resources import files

import numpy as np

__all__ = [
    "ALL_SITE_FEATURES",
    "MAX_Z",
    "OXIDATION_FEATURE",
    "PAPER_SITE_FEATURES",
    "SYMBOLS",
    "element_sources",
    "element_table",
    "site_inputs",
    "table_hash",
]

#: The eight site features of the Site-Net paper.
PAPER_SITE_FEATURES = (
    "atomic_number",
    "atomic_weight",
    "row",
    "group",
    "first_ionization_energy",
    "electronegativity",
    "atomic_radius",
    "density",
)

#: All properties of the table, those of the paper first.
ALL_SITE_FEATURES = PAPER_SITE_FEATURES + (
    "covalent_radius",
    "mendeleev_number",
    "electron_affinity",
    "n_valence",
    "n_valence_s",
    "n_valence_p",
    "n_valence_d",
    "n_valence_f",
    "melting_point",
    "second_ionization_energy",
    "third_ionization_energy",
    "max_oxidation_state",
    "min_oxidation_state",
    "boiling_point",
    "ionic_radius",
    "molar_volume",
    "van_der_waals_radius",
)

#: The only site feature that is a property of the site and not of the element.
OXIDATION_FEATURE = "oxidation_state"

_SYMBOLS = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar
K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe
Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn
Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr
"""

#: Chemical symbol by atomic number; index 0 is the empty string.
SYMBOLS = ("", *_SYMBOLS.split())

#: Largest atomic number in the table (lawrencium).
MAX_Z = len(SYMBOLS) - 1


def element_table(names=PAPER_SITE_FEATURES, *, scaled=True):
    """Return elemental properties as an array indexed by atomic number.

    Parameters
    ----------
    names : str or sequence of str, default=PAPER_SITE_FEATURES
        The properties, one per column:

        - ``atomic_number``;
        - ``atomic_weight`` in u [1]_;
        - ``row``, the period, 1 to 7, and ``group``, 1 to 18: La-Lu are in row 6, Ac-Lr in row 7, all of them in
          group 3;
        - ``first_ionization_energy`` in eV [1]_;
        - ``electronegativity`` on Pauling's scale [1]_; Allen's [2]_ for He, Ne and Ar;
        - ``atomic_radius`` in angstrom, Slater's empirical radii [1]_; calculated ones [3]_ for noble gases and the
          covalent radius for At, Fr and Cm-Lr;
        - ``density`` in g/cm3 of the condensed phase [1]_: for gases that of the liquid at the boiling point [4]_;
          estimates for Fr, At and Fm-Lr;
        - ``covalent_radius`` in angstrom [5]_; Bk-Lr from [6]_;
        - ``mendeleev_number``, the position on Pettifor's chemical scale [1]_;
        - ``electron_affinity`` in eV [1]_, negative if the anion is not bound;
        - ``n_valence`` and its parts ``n_valence_s``, ``n_valence_p``, ``n_valence_d``, ``n_valence_f``: the electrons
          outside the noble gas core, including filled d and f shells [1]_;
        - ``melting_point`` in K [1]_;
        - ``second_ionization_energy`` and ``third_ionization_energy`` in eV [1]_; H and He, which have fewer electrons,
          repeat their last value;
        - ``max_oxidation_state`` and ``min_oxidation_state``, of the common states [1]_; 0 for noble gases without any;
        - ``boiling_point`` in K [1]_; C, Si, Cu, Pr and U from [7]_; At, Fr, Pa and Bk-Lr are estimates;
        - ``ionic_radius`` in angstrom, Shannon's crystal radii averaged over the element's oxidation states [1]_, so
          for F, Cl and Br over the anion and much smaller cations; the covalent radius for H and noble gases except
          Xe, estimates for Es-Lr;
        - ``molar_volume`` in cm3/mol [1]_, of the same phase as ``density``: the atomic weight over the density for
          gases, Br, Hg, Tm, At, Fr and Fm-Lr;
        - ``van_der_waals_radius`` in angstrom [1]_; Lr from [7]_.
    scaled : bool, default=True
        Standardise each property to mean 0 and standard deviation 1 over the 103 elements, which is the same for every
        data set. False returns values in the units above.

    Returns
    -------
    table : ndarray of shape (104, len(names)), dtype float64
        Read-only; repeated calls return the same array. Row Z is element Z. Row 0 is NaN, so that missing atomic
        numbers are noticed.

    Raises
    ------
    ValueError
        If a name is not a property of the table.

    See Also
    --------
    element_sources : Source of each value, and which values are estimates.

    References
    ----------
    .. [1] S. P. Ong et al., Comput. Mater. Sci. 68, 314 (2013): the element data of pymatgen.
    .. [2] J. B. Mann, T. L. Meek, L. C. Allen, J. Am. Chem. Soc. 122, 2780 (2000).
    .. [3] E. Clementi, D. L. Raimondi, W. P. Reinhardt, J. Chem. Phys. 47, 1300 (1967).
    .. [4] I. H. Bell et al., Ind. Eng. Chem. Res. 53, 2498 (2014); Br, Hg and Rn from the CRC Handbook, 97th ed.
    .. [5] B. Cordero et al., Dalton Trans. 2008, 2832.
    .. [6] P. Pyykko, M. Atsumi, Chem. Eur. J. 15, 186 (2009).
    .. [7] CRC Handbook of Chemistry and Physics, 97th ed. (2016).

    Examples
    --------
    >>> from skdim._chemistry.elements import element_table
    >>> table = element_table(["atomic_weight", "density"], scaled=False)
    >>> table.shape
    (104, 2)
    >>> [float(value) for value in table[26]]
    [55.845, 7.874]
    >>> element_table(["densty"])
    Traceback (most recent call last):
        ...
    ValueError: unknown element properties: 'densty' (did you mean 'density'?). Available: atomic_number, ...
    """
    return _table(_checked(names), bool(scaled))


def check_features(site_features):
    """Return the names in an estimator's ``site_features`` parameter as a tuple; None stands for all.

    Raises
    ------
    ValueError
        If it is a string or empty, or a name is unknown or repeated.
    """
    names = ALL_SITE_FEATURES if site_features is None else tuple(site_features)
    if isinstance(site_features, str) or not names or len(set(names)) != len(names):
        raise ValueError(f"site_features must list at least one property, each once; got {site_features!r}")
    return _checked(names)


def element_sources(name):
    """Return the source of each element's value of one property.

    Parameters
    ----------
    name : str
        A property of ``ALL_SITE_FEATURES``.

    Returns
    -------
    sources : dict of str to str
        Chemical symbol to source key, H to Lr. Keys that start with ``imputed:`` mark estimates.
        The comments at the top of ``elements.csv`` explain the keys.

    Raises
    ------
    ValueError
        If the name is not a property of the table.

    Examples
    --------
    >>> from skdim._chemistry.elements import element_sources
    >>> sources = element_sources("electronegativity")
    >>> sources["Fe"]
    'pymatgen'
    >>> [symbol for symbol, source in sources.items() if source.startswith("imputed:")]
    ['He', 'Ne', 'Ar']
    """
    (name,) = _checked([name])
    return dict(zip(SYMBOLS[1:], _columns()[f"{name}_source"], strict=True))


def table_hash(names=ALL_SITE_FEATURES):
    """Return a hash of the values of some properties.

    Saved models record it, so that they are not used with other values. It does not depend on comments, source keys or
    line endings of the file. Pass only the properties that the model uses: then new properties do not change the hash.

    Parameters
    ----------
    names : str or sequence of str, default=ALL_SITE_FEATURES
        In this order.

    Returns
    -------
    digest : str
        SHA-256, 64 hexadecimal digits.

    Raises
    ------
    ValueError
        If a name is not a property of the table.

    Examples
    --------
    >>> from skdim._chemistry.elements import PAPER_SITE_FEATURES, table_hash
    >>> len(table_hash())
    64
    >>> table_hash() == table_hash(PAPER_SITE_FEATURES)
    False
    """
    names = _checked(names)
    # repr of a float is the shortest text that reads back as the same number, on every platform
    lines = [",".join([name, *map(repr, column)]) for name, column in zip(names, _values(names), strict=True)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _checked(names):
    """Return the names as a tuple; raise ValueError if one is not a property of the table."""
    names = (names,) if isinstance(names, str) else tuple(names)
    bad = []
    for name in names:
        if name not in ALL_SITE_FEATURES:
            near = difflib.get_close_matches(str(name).lower(), ALL_SITE_FEATURES, n=1)
            bad.append(repr(name) + (f" (did you mean {near[0]!r}?)" if near else ""))
    if bad:
        raise ValueError(f"unknown element properties: {', '.join(bad)}. Available: {', '.join(ALL_SITE_FEATURES)}")
    return names


@lru_cache(maxsize=1)
def _columns():
    """Read the file: column name -> strings of the 103 elements. Read at first use, to keep imports fast."""
    text = files(__package__).joinpath("elements.csv").read_text(encoding="utf-8")
    header, *rows = csv.reader(line for line in text.splitlines() if not line.startswith("#"))
    return dict(zip(header, zip(*rows, strict=True), strict=True))


def _values(names):
    return [[float(text) for text in _columns()[name]] for name in names]


@lru_cache
def _table(names, scaled):
    values = np.array(_values(names), dtype=np.float64).reshape(len(names), MAX_Z).T
    if scaled:
        values = (values - values.mean(axis=0)) / values.std(axis=0)
    table = np.full((MAX_Z + 1, len(names)), np.nan)
    table[1:] = values
    table.flags.writeable = False
    return table


def site_inputs(crystals):
    """Return the features of all site classes as the networks take them.

    Elemental properties are standardised over the periodic table; oxidation states are divided by 4.

    Parameters
    ----------
    crystals : Crystals

    Returns
    -------
    ndarray of float32 of shape (n_classes, n_features)
    """
    names = crystals.site_features
    elemental = tuple(n for n in names if n != OXIDATION_FEATURE)
    table = element_table(elemental).astype(np.float32)
    inputs = table[crystals.numbers]
    if OXIDATION_FEATURE in names:
        inputs = np.column_stack([inputs, crystals.oxidation_states / np.float32(4)])
    return inputs
