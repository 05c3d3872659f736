"""CHGNet with the weights that its wheel contains: features of crystals, in batches."""

from __future__ import annotations

import contextlib
import io
from functools import lru_cache
from pathlib import Path

import numpy as np

from .._shared.ragged import offsets_of
from .._structures.read import site_numbers
from ._pooled import pooled, pooled_names

#: Version of the weights: that of the publication, trained on PBE energies of MPtrj.
_VERSION = "0.3.0"
#: Width of the vectors, and the highest atomic number.
_WIDTH, _LAST_ELEMENT = 64, 94
#: pymatgen's tolerance in the search for neighbours, as in CHGNet.
_TOLERANCE = 1e-8

NAMES = (
    *pooled_names(_WIDTH, _WIDTH),
    "energy per atom",
    "std site energy",
    "mean magnetic moment",
    "std magnetic moment",
)


class CHGNetFeatures:
    """Features of graphs.

    Each crystal is a graph of atoms up to 6 angstrom apart, and one of bonds up to 3 angstrom that share an atom. The
    graphs are those of CHGNet's converter, made by NumPy in a fifth of the time.
    """

    def __init__(self):
        self.network = _network()

    def graph(self, structure):
        """Make the graphs of an ordered Structure; raises ValueError where CHGNet has none."""
        import torch
        from chgnet.graph.crystalgraph import CrystalGraph

        numbers = site_numbers(structure)
        if numbers.max() > _LAST_ELEMENT:
            raise ValueError(f"CHGNet knows the elements up to Pu; the structure has one of Z = {numbers.max()}")
        converter = self.network.graph_converter
        reach, bonded = converter.atom_graph_cutoff, converter.bond_graph_cutoff
        center, neighbour, image, distance = structure.get_neighbor_list(
            r=reach, sites=structure.sites, numerical_tol=_TOLERANCE
        )
        isolated = np.setdiff1d(np.arange(len(numbers)), center)
        if len(isolated):
            raise ValueError(f"site {isolated[0]} has no neighbour within {reach:g} angstrom, which CHGNet requires")
        image = np.rint(image).astype(np.int64)
        bond, first = _bonds(center, neighbour, image)

        def integers(values):
            return torch.tensor(values, dtype=torch.int32)

        return CrystalGraph(
            atomic_number=integers(numbers),
            atom_frac_coord=torch.tensor(structure.frac_coords, dtype=torch.float32),
            atom_graph=integers(np.stack([center, neighbour], axis=1)),
            atom_graph_cutoff=reach,
            neighbor_image=torch.tensor(image, dtype=torch.float32),
            directed2undirected=integers(bond),
            undirected2directed=integers(first),
            bond_graph=integers(_angles(center, bond, np.flatnonzero(distance[first][bond] < bonded), len(numbers))),
            bond_graph_cutoff=bonded,
            lattice=torch.tensor(structure.lattice.matrix, dtype=torch.float32),
        )

    def rows(self, graphs):
        """Return the features of each graph, computed together on one thread."""
        import torch

        if not graphs:
            return []
        wanted = {f"return_{name}": True for name in ("site_energies", "atom_feas", "crystal_feas")}
        with _one_thread(), torch.no_grad():
            predicted = self.network(graphs, task="em", **wanted)
        keys = ("crystal_fea", "atom_fea", "e", "site_energies", "m")
        columns = ([value.numpy().astype(np.float64) for value in predicted[key]] for key in keys)
        return [
            # CHGNet's vector of a crystal is a sum over its sites.
            np.concatenate(
                [pooled(sites, crystal / len(sites)), [energy, energies.std(), moments.mean(), moments.std()]]
            )
            for crystal, sites, energy, energies, moments in zip(*columns, strict=True)
        ]


@lru_cache(maxsize=1)
def _network():
    try:
        import chgnet
    except ModuleNotFoundError as error:
        if error.name != "chgnet":
            raise
        raise ImportError(
            'MLIPFeatures needs chgnet, which is not installed: pip install "skdim-crystals[mlip]". It has wheels for '
            "Python 3.11 and 3.12"
        ) from error
    import torch
    from chgnet.model.model import CHGNet

    (path,) = (Path(chgnet.__file__).parent / "pretrained" / _VERSION).glob("*.pth.tar")
    # CHGNet.load reads the file as a pickle, which may run code.
    state = torch.load(path, map_location="cpu", weights_only=True)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its number of parameters
        return CHGNet.from_dict(state["model"], version=_VERSION).eval()


@contextlib.contextmanager
def _one_thread():
    """Context manager: torch uses one thread, so that processes do not compete and sums have one order."""
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def _bonds(center, neighbour, image):
    """Bond of each directed edge, and an edge of each bond: a bond has two edges, one from either end."""
    edges, reverse = np.column_stack([center, neighbour, image]), np.column_stack([neighbour, center, -image])
    difference = edges - reverse
    sign = np.take_along_axis(difference, (difference != 0).argmax(axis=1)[:, None], axis=1)
    bonds = np.where(sign < 0, edges, reverse)
    _, first, bond, counts = np.unique(bonds, axis=0, return_index=True, return_inverse=True, return_counts=True)
    if (counts != 2).any():
        raise ValueError("pymatgen's neighbour list is not symmetric: check for sites that coincide")
    return bond.ravel(), first


def _angles(center, bond, short, n_sites):
    """Pairs of short edges from one atom, as rows of the bond graph: atom, bond, edge, other bond, other edge."""
    short = short[np.argsort(center[short], kind="stable")]
    counts = np.bincount(center[short], minlength=n_sites)
    # Each edge is paired with all edges of its atom, itself left out.
    lengths = counts[center[short]]
    left = np.repeat(short, lengths)
    starts = np.repeat(offsets_of(counts)[center[short]], lengths)
    right = short[starts + np.arange(len(left)) - np.repeat(offsets_of(lengths)[:-1], lengths)]
    left, right = left[left != right], right[left != right]
    return np.stack([center[left], bond[left], left, bond[right], right], axis=1)
