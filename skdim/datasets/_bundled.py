"""The data sets that ship with the package.

A data file, made by tools/build_datasets.py, holds all crystals end to end: sites ``offsets[i]:offsets[i + 1]`` belong
to crystal i. pymatgen and scikit-learn are imported where they are used, so that importing skdim stays quick.
"""

from __future__ import annotations

import hashlib
import io
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.utils import Bunch

SHA256 = {
    "formation_energy.npz": "e8bd4aba07c09e4acd39901cb33ebd959d58972b3ad4fe53d6a4f4fcc47c88d3",
    "band_gap.npz": "d8f1eeeeb46422b1ebcee471181ed29fdc2aa32395a285e98d6ba8d16de810c6",
}


def load_formation_energy(*, return_X_y=False) -> Bunch:
    """Load the formation energy data set.

    3938 ordered crystals of the Materials Project with 1 to 25 sites, selected by Faber et al. [1]_, and their
    formation energy per atom, computed with density functional theory [2]_. The full description is in the ``DESCR``
    attribute of the result.

    =================   ==================================
    Crystals            3938 (3147 train, 791 test)
    Elements            86
    Target              formation energy, eV/atom
    Range               -4.45 to 2.34, mean -1.26
    =================   ==================================

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(structures, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the following attributes.

        structures : list of :class:`pymatgen.core.Structure`, length 3938
            The crystals; lengths in angstrom.
        target : ndarray of shape (3938,)
            Formation energy from the elements, in eV/atom.
        target_name : str
            ``"formation_energy_per_atom"``.
        extra_targets : dict of str to ndarray of shape (3938,)
            ``"e_above_hull"``: energy above the convex hull of stable phases, in eV/atom.
        ids : ndarray of shape (3938,)
            Materials Project identifiers.
        split : ndarray of shape (3938,)
            ``"train"`` or ``"test"``. Crystals of one reduced formula are on the same side, here and in
            :func:`load_band_gap`.
        DESCR : str
            Description of the data set.
        filename : str
            Path of the data file.
    (structures, target) : tuple if ``return_X_y=True``
        As above.

    Raises
    ------
    OSError
        If the data file is missing or damaged.

    See Also
    --------
    load_band_gap : Crystals with their band gap.
    make_crystals : Synthetic crystals.

    References
    ----------
    .. [1] F. Faber, A. Lindmaa, O. A. von Lilienfeld, R. Armiento, "Crystal structure representations for machine
       learning models of formation energies", Int. J. Quantum Chem. 115, 1094 (2015). doi:10.1002/qua.24917
    .. [2] A. Jain et al., "Commentary: The Materials Project: A materials genome approach to accelerating materials
       innovation", APL Mater. 1, 011002 (2013). doi:10.1063/1.4812323

    Examples
    --------
    >>> from skdim.datasets import load_formation_energy
    >>> data = load_formation_energy()
    >>> len(data.structures), data.target.shape
    (3938, (3938,))
    >>> data.structures[1].composition.reduced_formula, round(float(data.target[1]), 3)
    ('Hf2S', -1.253)

    Polymorphs of one formula are never on both sides of the split:

    >>> train = data.split == "train"
    >>> int(train.sum()), int((~train).sum())
    (3147, 791)
    """
    return _load("formation_energy", return_X_y)


def load_band_gap(*, return_X_y=False) -> Bunch:
    """Load the band gap data set.

    1056 insulators and semiconductors of the Materials Project [2]_ with 2 to 20 sites, whose dielectric tensors
    Petousis et al. [1]_ computed. The target is the Kohn-Sham band gap of the PBE functional, which is smaller than the
    measured gap. The full description is in the ``DESCR`` attribute of the result.

    =================   ==================================
    Crystals            1056 (828 train, 228 test)
    Elements            63
    Target              band gap, eV
    Range               0.11 to 8.32, mean 2.12
    =================   ==================================

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(structures, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the following attributes.

        structures : list of :class:`pymatgen.core.Structure`, length 1056
            The crystals; lengths in angstrom.
        target : ndarray of shape (1056,)
            Band gap, in eV.
        target_name : str
            ``"band_gap"``.
        extra_targets : dict of str to ndarray of shape (1056,)
            ``"n"``: refractive index; ``"poly_electronic"`` and ``"poly_total"``: average eigenvalue of the electronic
            and the total dielectric tensor, the value of a polycrystal. All without unit.
        ids : ndarray of shape (1056,)
            Materials Project identifiers.
        split : ndarray of shape (1056,)
            ``"train"`` or ``"test"``. Crystals of one reduced formula are on the same side, here and in
            :func:`load_formation_energy`.
        DESCR : str
            Description of the data set.
        filename : str
            Path of the data file.
    (structures, target) : tuple if ``return_X_y=True``
        As above.

    Raises
    ------
    OSError
        If the data file is missing or damaged.

    See Also
    --------
    load_formation_energy : Crystals with their formation energy.
    make_crystals : Synthetic crystals.

    References
    ----------
    .. [1] I. Petousis et al., "High-throughput screening of inorganic compounds for the discovery of novel dielectric
       and optical materials", Sci. Data 4, 160134 (2017). doi:10.1038/sdata.2016.134
    .. [2] A. Jain et al., "Commentary: The Materials Project: A materials genome approach to accelerating materials
       innovation", APL Mater. 1, 011002 (2013). doi:10.1063/1.4812323

    Examples
    --------
    >>> from skdim.datasets import load_band_gap
    >>> structures, gaps = load_band_gap(return_X_y=True)
    >>> structures[1].composition.reduced_formula, float(gaps[1])
    ('CdCl2', 3.52)
    >>> print(f"{gaps.min()} to {gaps.max()} eV")
    0.11 to 8.32 eV
    """
    return _load("band_gap", return_X_y)


def _load(name, return_X_y):
    path = files(__package__) / "data" / f"{name}.npz"
    columns = _read_columns(path)
    structures = _build_structures(columns)
    target_name, *extra_names = columns["target_names"].astype(str).tolist()
    target, *extra_targets = columns["targets"]
    if return_X_y:
        return structures, target

    from sklearn.utils import Bunch

    return Bunch(
        structures=structures,
        target=target,
        target_name=target_name,
        extra_targets=dict(zip(extra_names, extra_targets, strict=True)),
        ids=columns["ids"].astype(str),
        split=np.where(columns["is_test"], "test", "train"),
        DESCR=(files(__package__) / "descr" / f"{name}.rst").read_text(encoding="utf-8"),
        filename=str(path),
    )


def _read_columns(path):
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256[path.name]:
        raise OSError(
            f"The data file {path} is damaged: its sha256 is {digest}, not {SHA256[path.name]}. "
            "Reinstall skdim-crystals to restore it."
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return dict(archive)


def _build_structures(columns):
    from pymatgen.core import Lattice, Structure

    offsets = columns["offsets"]
    # Plain ints: pymatgen does not accept NumPy integers everywhere.
    atomic_numbers = columns["atomic_numbers"].tolist()
    frac_coords = columns["frac_coords"].astype(np.float64)
    return [
        Structure(Lattice(matrix), atomic_numbers[start:stop], frac_coords[start:stop])
        for matrix, start, stop in zip(columns["lattice"], offsets[:-1], offsets[1:], strict=True)
    ]
