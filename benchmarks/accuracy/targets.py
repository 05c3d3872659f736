"""The properties that are predicted, and where their labels are."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Target:
    """One property of one table.

    Parameters
    ----------
    table, column : str
        Parquet table (without ".parquet") and column of the labels.
    title, unit : str
        For the report. ``unit`` is that of the labels before the logarithm.
    log : bool
        Whether models learn, and errors are measured on, the decimal logarithm.
    known_as : tuple of str
        Columns of any table with the same property, and names of it. Weights trained on one of them know the property.
    sizes : tuple of int
        Numbers of labels.
    other : str or None
        Column whose supervised network is another start for transfer.
    paper : bool
        Whether the paper has this task: its recipe and its structural baselines are then measured too.
    activation : str
        Output activation of the networks.
    """

    table: str
    column: str
    title: str
    unit: str
    log: bool = False
    known_as: tuple = ()
    sizes: tuple = (50, 100, 250)
    other: str | None = None
    paper: bool = False
    activation: str = "identity"

    @property
    def name(self):
        """Name of the result files."""
        return f"{self.table.replace('/', '_')}-{self.column}"

    @property
    def scale(self):
        """What errors are measured in."""
        return f"log10({self.unit})" if self.log and self.unit else "log10" if self.log else self.unit

    def labels(self, column):
        """Labels on the scale that models learn, ndarray of float; NaN where a label is missing."""
        y = np.asarray(column, dtype=float)
        if not self.log:
            return y
        if (y <= 0).any():
            row = int(np.flatnonzero(y <= 0)[0])
            raise ValueError(f"row {row} of {self.table} has {self.column}={y[row]:g}: there is no logarithm")
        return np.log10(y)

    def is_known(self, known_properties):
        """Whether the property is one of those that an embedder was trained on, by its ``known_properties_``."""
        return any(name.removeprefix("log10_") in (self.column, *self.known_as) for name in known_properties)


#: Columns of the tables, and names that the weights have for them, of one property (without "log10_").
FORMATION_ENERGY = ("formation_energy", "formation_energy_per_atom", "e_form_jarvis", "formation_energy_optb88")
BAND_GAP = ("band_gap", "gap_optb88_jarvis", "gap_mbj_jarvis")
BULK_MODULUS = ("bulk_modulus", "k_vrh_mp", "k_vrh_aflow", "k_v_jarvis", "bulk_modulus_optb88")
SHEAR_MODULUS = ("shear_modulus", "g_vrh_mp", "g_vrh_aflow", "g_v_jarvis", "g_vrh", "shear_modulus_optb88")
_FOUR_SIZES = (50, 100, 250, 1000)

#: All targets, by name. Test formulas of a table are in no training row of any table.
TARGETS = {
    target.name: target
    for target in (
        Target(
            "mp_megnet",
            "formation_energy_per_atom",
            "Formation energy: Materials Project",
            "eV/atom",
            known_as=FORMATION_ENERGY,
            sizes=_FOUR_SIZES,
            other="band_gap",
            paper=True,
        ),
        Target(
            "mp_megnet",
            "band_gap",
            "Band gap: Materials Project",
            "eV",
            known_as=BAND_GAP,
            sizes=_FOUR_SIZES,
            other="formation_energy_per_atom",
            paper=True,
            activation="trelu",
        ),
        Target("dielectric", "n", "Refractive index: dielectrics", "", known_as=("poly_electronic",)),
        Target("dielectric", "poly_total", "Total dielectric constant: dielectrics", "", log=True),
        Target("dielectric", "band_gap", "Band gap: dielectrics", "eV", known_as=BAND_GAP, activation="trelu"),
        Target("phonons", "last_phdos_peak", "Highest phonon frequency", "1/cm", log=True),
        Target("jdft2d", "exfoliation_en", "Exfoliation energy: two-dimensional crystals", "meV/atom", log=True),
        Target("properties", "k_vrh_mp", "Bulk modulus: Materials Project", "GPa", log=True, known_as=BULK_MODULUS),
        Target("properties", "g_vrh_mp", "Shear modulus: Materials Project", "GPa", log=True, known_as=SHEAR_MODULUS),
    )
}
