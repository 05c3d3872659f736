"""Fuzzing of all readers of the package: each reads a mutated input, or raises a documented error.

Each function of ``READERS`` takes a folder and returns (mutate, read): ``mutate(rng)`` makes the next input, and
``read(input)`` reads it and uses the result. An exception that is not in ``DOCUMENTED`` counts as a fault.
"""

import contextlib
import io
import json
import warnings
from pathlib import Path

import numpy as np
from pymatgen.io.cif import CifWriter

from skdim import CompositionStatistics, Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim._crystals.columns import COLUMNS
from skdim.datasets import make_crystals
from tests.helpers.fuzzing_files import (
    archives,
    ase_databases,
    checkpoints,
    csv_labels,
    csv_tables,
    json_tables,
    parquet_tables,
    results_files,
)
from tests.helpers.fuzzing_formats import (
    ase_trajectories,
    compressed_files,
    json_files,
    res_and_cssr_files,
    tar_archives,
    vasp_files,
    xsf_files,
    xyz_files,
)
from tests.helpers.mutations import mutated_bytes, mutated_json, mutated_text, mutated_values
from tests.helpers.small_estimators import SMALL

#: Of all readers; the message must name the file or the row.
DOCUMENTED = (ValueError,)

CIFS = Path(__file__).parents[1] / "structures" / "cifs"
PLAIN_CIF = """data_NaCl
_symmetry_space_group_name_H-M 'P 1 1 2/m'
_cell_length_a 5.64(1)
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_chemical_formula_sum 'Na1 Cl1'
_exptl_special_details
;text
of some lines
;
loop_
_symmetry_equiv_pos_as_xyz
'x,y,z'
'-x,-y,z'
'-x,-y,-z'
'x,y,-z'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Na1 Na+ 0 0 0 1
Cl1 Cl- 0.5 0.5 0.5 1
"""


def make_material(n=12):
    """Structures, Crystals with a failed row, and a small fitted embedder."""
    structures, _ = make_crystals(n, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        X = SiteNetFeaturizer(on_error="warn", oxidation_states="species").transform([*structures, None])
    plain = SiteNetFeaturizer().transform(structures)
    return structures, X, DeepInfoMaxEmbedder(**{**SMALL, "max_epochs": 1}).fit(plain), plain


def _featurize(raw):
    SiteNetFeaturizer(disordered="majority").transform([raw])


# ---- rows ----


def cif_texts(material, folder):
    """CIF texts as rows: without and with symmetry, and the files of tests/structures/cifs."""
    structures = material[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # spglib warns pymatgen
        symmetrised = [str(CifWriter(s, symprec=0.1)) for s in structures]
    seeds = [PLAIN_CIF, *(s.to(fmt="cif") for s in structures), *symmetrised]
    seeds += [path.read_text(encoding="utf-8") for path in sorted(CIFS.glob("*.cif"))]

    def mutate(rng):
        change = mutated_text if rng.random() < 0.3 else mutated_values
        text = change(rng, seeds[int(rng.integers(len(seeds)))])
        return text if "data_" in text and "_cell_length" in text else text + "\ndata_ _cell_length"

    return mutate, _featurize


def dicts(material, folder):
    """Structure.as_dict(), as rows."""
    seeds = [s.as_dict() for s in material[0]]
    for seed in seeds[::2]:
        seed["sites"][0]["species"][0]["oxidation_state"] = 2

    def mutate(rng):
        content = mutated_json(rng, seeds[int(rng.integers(len(seeds)))])
        try:
            value = json.loads(content)
        except ValueError:
            value = None
        return value if isinstance(value, dict) else {}

    return mutate, _featurize


# ---- folders of arrays and weights ----


def store_headers(material, folder):
    """header.json of a Crystals store."""
    material[1].save(folder / "store")
    header = json.loads((folder / "store" / "header.json").read_text())

    def read(content):
        (folder / "store" / "header.json").write_bytes(content)
        _use(folder / "store")

    return lambda rng: mutated_json(rng, header), read


def store_arrays(material, folder):
    """The .npy files of a Crystals store: bytes, and arrays with wild values."""
    material[1].save(folder / "store")
    files = {name: (folder / "store" / f"{name}.npy").read_bytes() for name in COLUMNS}

    def mutate(rng):
        name = str(rng.choice(list(files)))
        if rng.random() < 0.4:
            return name, mutated_bytes(rng, files[name])
        array = np.load(io.BytesIO(files[name]))
        places = rng.integers(len(array), size=int(rng.integers(1, 4)))
        limits = np.iinfo(array.dtype) if array.dtype.kind in "iu" else np.finfo(array.dtype)
        array[places] = rng.choice(np.array([0, 1, 2, limits.max, limits.min, 60000 % limits.max]).astype(array.dtype))
        with io.BytesIO() as file:
            np.save(file, array)
            return name, file.getvalue()

    def read(mutated):
        name, content = mutated
        (folder / "store" / f"{name}.npy").write_bytes(content)
        try:
            _use(folder / "store", material[2], mmap_mode="r")
        finally:
            (folder / "store" / f"{name}.npy").write_bytes(files[name])

    return mutate, read


def _use(store, embedder=None, mmap_mode=None):
    """Load a store and use it as a user would."""
    error = None
    try:
        X = Crystals.load(store)
    except DOCUMENTED as refused:
        error = refused
        X = None
    if X is not None:
        _inspect(X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            CompositionStatistics().fit_transform(X[~X.failed])
            if embedder is not None:
                vectors = embedder.transform(X.with_site_features(embedder.site_features_))
                if not np.isfinite(vectors[~X.failed]).all():
                    raise AssertionError("a row without an error has a vector of NaN")
    if mmap_mode is not None and embedder is not None:
        # A memory-mapped store is not checked on loading, but before the compiled loops read it.
        mapped = Crystals.load(store, mmap_mode=mmap_mode)
        with contextlib.suppress(IndexError):  # offsets out of range
            embedder.transform(mapped.with_site_features(embedder.site_features_))
    if error is not None:
        raise error


def _inspect(X):
    return repr(X), X.formulas, X.n_sites.sum(), X[::-1].shape, X[len(X) // 2 :].errors_


def weights_configs(material, folder):
    """config.json of save_pretrained."""
    material[2].save_pretrained(folder / "weights")
    file = folder / "weights" / "config.json"
    config = json.loads(file.read_text())

    def read(content):
        file.write_bytes(content)
        DeepInfoMaxEmbedder.from_pretrained(folder / "weights", device="cpu").transform(material[3][:3])

    return lambda rng: mutated_json(rng, config), read


def weights_files(material, folder):
    """weights.safetensors of save_pretrained."""
    material[2].save_pretrained(folder / "weights")
    file = folder / "weights" / "weights.safetensors"
    valid = file.read_bytes()
    head = int.from_bytes(valid[:8], "little") + 8

    def mutate(rng):
        if rng.random() < 0.5:
            return mutated_bytes(rng, valid[:head], 1) + valid[head:]
        if rng.random() < 0.5:
            header = mutated_json(rng, json.loads(valid[8:head]))
            return len(header).to_bytes(8, "little") + header + valid[head:]
        return mutated_bytes(rng, valid)

    def read(content):
        file.write_bytes(content)
        DeepInfoMaxEmbedder.from_pretrained(folder / "weights", device="cpu").transform(material[3][:3])

    return mutate, read


READERS = {
    reader.__name__: reader
    for reader in (
        cif_texts,
        dicts,
        store_headers,
        store_arrays,
        weights_configs,
        weights_files,
        checkpoints,
        results_files,
        json_tables,
        archives,
        parquet_tables,
        csv_tables,
        csv_labels,
        ase_databases,
        vasp_files,
        xyz_files,
        xsf_files,
        res_and_cssr_files,
        json_files,
        ase_trajectories,
        compressed_files,
        tar_archives,
    )
}


def outcome_of(read, mutated):
    """Return "read", "refused" or "fault", and the exception of a fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read(mutated)
        except DOCUMENTED:
            return "refused", None
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # also panics of compiled code, which are not Exceptions
            return "fault", error
    return "read", None
