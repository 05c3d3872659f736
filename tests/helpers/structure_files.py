"""Files of one crystal in every format that is read."""

import json

import ase.io
import numpy as np
from ase import Atoms
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry
from pymatgen.io.cssr import Cssr
from pymatgen.io.res import ResWriter
from pymatgen.io.vasp import Poscar
from pymatgen.io.xcrysden import XSF


def sample():
    """A crystal without symmetry, with two sites of one element."""
    lattice = Lattice.from_parameters(4, 5, 6, 80, 95, 110)
    coords = [[0, 0, 0], [0.5, 0.5, 0.5], [0.1, 0.7, 0.2], [0.8, 0.3, 0.6]]
    return Structure(lattice, ["Na", "Cl", "O", "O"], coords)


def to_atoms(structure):
    return Atoms(
        numbers=structure.atomic_numbers, positions=structure.cart_coords, cell=structure.lattice.matrix, pbc=True
    )


def written_by_ase(format, images, folder):
    path = folder / "written.json"  # the ending matters to ASE's databases only
    path.unlink(missing_ok=True)
    ase.io.write(path, images, format=format)
    return path.read_bytes()


def optimade(structure):
    """An entry of an OPTIMADE response."""
    symbols = [site.specie.symbol for site in structure]
    species = [{"name": one, "chemical_symbols": [one], "concentration": [1.0]} for one in dict.fromkeys(symbols)]
    attributes = {
        "lattice_vectors": structure.lattice.matrix.tolist(),
        "cartesian_site_positions": structure.cart_coords.tolist(),
        "species_at_sites": symbols,
        "species": species,
        "dimension_types": [1, 1, 1],
        "structure_features": [],
    }
    return {"id": "1", "type": "structures", "attributes": attributes}


def jarvis(structure, cartesian=False):
    """A dict of Atoms of JARVIS-tools."""
    return {
        "lattice_mat": structure.lattice.matrix.tolist(),
        "coords": (structure.cart_coords if cartesian else structure.frac_coords).tolist(),
        "elements": [site.specie.symbol for site in structure],
        "cartesian": cartesian,
        "abc": list(structure.lattice.abc),
        "angles": list(structure.lattice.angles),
        "props": [""] * len(structure),
    }


def dicts(structure):
    """Kinds of dicts, by name."""
    return {
        "pymatgen": structure.as_dict(),
        "ComputedStructureEntry": ComputedStructureEntry(structure, -1.0).as_dict(),
        "Materials Project": {"material_id": "mp-1", "structure": structure.as_dict(), "nsites": len(structure)},
        "OPTIMADE entry": optimade(structure),
        "OPTIMADE attributes": optimade(structure)["attributes"],
        "OPTIMADE response": {"data": [optimade(structure)], "meta": {}},
        "JARVIS": jarvis(structure),
        "JARVIS, Cartesian": jarvis(structure, cartesian=True),
        "JARVIS entry": {"jid": "JVASP-1", "atoms": jarvis(structure), "formation_energy_peratom": -1.0},
        "ASE": {key: np.asarray(value).tolist() for key, value in to_atoms(structure).todict().items()},
    }


def files(structure, folder):
    """Contents of files with one crystal, by name of the file."""
    atoms = to_atoms(structure)
    contents = {
        "a.cif": structure.to(fmt="cif"),
        "a.mcif": structure.to(fmt="cif"),
        "POSCAR": str(Poscar(structure)),
        "CONTCAR_a": Poscar(structure).get_str(direct=False),
        "a.vasp": written_by_ase("vasp", atoms, folder),
        "a.poscar": str(Poscar(structure, selective_dynamics=[[True] * 3] * len(structure))),
        "a.extxyz": written_by_ase("extxyz", atoms, folder),
        "a.xyz": written_by_ase("extxyz", atoms, folder),
        "a.xsf": XSF(structure).to_str(),
        "b.xsf": written_by_ase("xsf", atoms, folder),
        "a.res": str(ResWriter(structure)),
        "b.res": written_by_ase("res", atoms, folder),
        "a.cssr": str(Cssr(structure)),
        "a.traj": written_by_ase("traj", atoms, folder),
        "ase.json": written_by_ase("json", atoms, folder),
        **{f"{name.replace(' ', '_')}.json": json.dumps(value) for name, value in dicts(structure).items()},
    }
    return {name: value if isinstance(value, bytes) else value.encode() for name, value in contents.items()}


def trajectories(first, second, folder):
    """Contents of files with two crystals of the same elements, by name of the file."""
    images = [to_atoms(first), to_atoms(second)]
    contents = {
        "a.cif": first.to(fmt="cif") + "\n" + second.to(fmt="cif"),
        "XDATCAR": written_by_ase("vasp-xdatcar", images, folder),
        "a.extxyz": written_by_ase("extxyz", images, folder),
        "a.axsf": written_by_ase("xsf", images, folder),
        "a.res": f"{ResWriter(first)}\n{ResWriter(second)}",
        "a.traj": written_by_ase("traj", images, folder),
        "ase.json": written_by_ase("json", images, folder),
        "list.json": json.dumps([first.as_dict(), jarvis(second)]),
        "optimade.json": json.dumps({"data": [optimade(first), optimade(second)]}),
    }
    return {name: value if isinstance(value, bytes) else value.encode() for name, value in contents.items()}
