"""Featurizing: rate on one core and in processes, and the times of the steps, compared with pymatgen where possible."""

import time
from statistics import median

import numpy as np
from joblib import cpu_count
from pymatgen.core import Lattice, Structure

from skdim import SiteNetFeaturizer
from skdim._geometry.lattice import reduced_bases
from skdim._geometry.merge_sites import compress_sites
from skdim._geometry.primitive_cell import primitive_cell
from skdim._geometry.supercell import supercell_distances, supercell_steps
from skdim._structures.read import read_structure, site_numbers
from skdim.datasets import load_formation_energy

from ._results import Result

MAX_SITES = 50


def run(quick=False):
    """Crystals per second, milliseconds of the steps, and the ratio to the time of pymatgen.

    The time of pymatgen is that of ``make_supercell`` and ``distance_matrix`` only, with the same primitive cells and
    supercell matrices.
    """
    n_crystals, rounds = (20, 1) if quick else (400, 3)
    everything = load_formation_energy().structures
    structures = [everything[k] for k in np.linspace(0, len(everything) - 1, n_crystals).astype(int)]
    featurizer = SiteNetFeaturizer(max_sites=MAX_SITES)
    featurizer.fit_transform(structures[:10])
    supercells = [_supercell(s) for s in structures]

    ours, theirs, steps = [], [], []
    for _ in range(rounds):
        start = time.perf_counter()
        featurizer.transform(structures)
        ours.append(time.perf_counter() - start)
        theirs.append(sum(_pymatgen_seconds(cell, matrix) for cell, matrix in supercells))
        steps.append(np.sum([_step_seconds(s) for s in structures], axis=0))
    many = structures * (1 if quick else 10)
    one, shared = (_rate(many, n_jobs, rounds) for n_jobs in (1, cpu_count()))
    reading, primitive, distances, compression = np.median(steps, axis=0) / n_crystals * 1e3
    return [
        Result("featurizing", n_crystals / median(ours), "crystals/s", (">=", 600)),
        Result("time over make_supercell + distance_matrix", median(ours) / median(theirs), "times", ("<=", 2)),
        Result("of it: reading", reading, "ms a crystal"),
        Result("of it: primitive cell", primitive, "ms a crystal"),
        Result("of it: supercell and distances", distances, "ms a crystal"),
        Result("of it: compression", compression, "ms a crystal"),
        Result(f"{cpu_count()} processes to one", shared / one, "times"),
        Result("pymatgen: make_supercell + distance_matrix", median(theirs) / n_crystals * 1e3, "ms a crystal"),
    ]


def _rate(structures, n_jobs, rounds):
    """Crystals per second, with the worker processes running already."""
    featurizer = SiteNetFeaturizer(max_sites=MAX_SITES, n_jobs=n_jobs)
    featurizer.transform(structures[: 8 * n_jobs])
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        featurizer.transform(structures)
        seconds.append(time.perf_counter() - start)
    return len(structures) / median(seconds)


def _supercell(structure):
    """Primitive cell in the basis that skdim grows, and the matrix of the supercell."""
    cell = _primitive(structure, site_numbers(structure))
    basis = reduced_bases(cell.lattice)[0]
    primitive = Structure(Lattice(basis), cell.kinds, cell.coords @ cell.lattice, coords_are_cartesian=True)
    return primitive, supercell_steps(basis, len(cell.kinds), MAX_SITES)


def _primitive(structure, numbers):
    lattice, coords = np.array(structure.lattice.matrix), np.array(structure.frac_coords)
    return primitive_cell(lattice, coords, numbers.astype(np.int64))


def _pymatgen_seconds(primitive, matrix):
    primitive = primitive.copy()
    start = time.perf_counter()
    _ = primitive.make_supercell(matrix).distance_matrix
    return time.perf_counter() - start


def _step_seconds(structure):
    """Seconds of the four steps for one structure."""
    marks = [time.perf_counter()]
    structure = read_structure(structure, 0)
    numbers = site_numbers(structure)
    marks.append(time.perf_counter())
    cell = _primitive(structure, numbers)
    marks.append(time.perf_counter())
    distances = supercell_distances(cell, MAX_SITES)
    marks.append(time.perf_counter())
    compress_sites(distances, cell.kinds)
    marks.append(time.perf_counter())
    return np.diff(marks)
