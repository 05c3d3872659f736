"""Fuzzing of the readers of files; tests/helpers/fuzzing.py has those of rows and folders."""

import io
import json
import zipfile
from argparse import Namespace

import numpy as np
import pandas as pd

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim._structures.sources.open_source import open_source
from skdim.cli._inputs.labels import check_labels
from skdim.datasets._tables import read_table
from skdim.model_selection import read_results
from tests.helpers.mutations import NUMBERS, WORDS, mutated_bytes, mutated_json, mutated_text
from tests.helpers.small_estimators import SMALL


def checkpoints(material, folder):
    """The checkpoint of a training run."""
    path, X = folder / "run.pt", material[3]
    model = DeepInfoMaxEmbedder(**{**SMALL, "max_epochs": 1}, checkpoint=path).fit(X)
    valid = path.read_bytes()

    def read(content):
        path.write_bytes(content)
        model.fit(X)  # a run that is complete returns at once

    def mutate(rng):
        # Half of them with a valid checksum.
        return mutated_bytes(rng, valid) if rng.random() < 0.5 else _with_member(rng, valid, "data.pkl")

    return mutate, read


def _with_member(rng, archive, ending):
    """A zip file with one member mutated."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, mutated_bytes(rng, content) if name.endswith(ending) else content)
    return changed.getvalue()


def results_files(material, folder):
    """The results_file of label_efficiency."""
    fit = {"n_labels": 10, "mae": 0.5, "fit_time": 0.1, "predict_time": 0.1}
    head = {"format": "skdim.label_efficiency", "schema_version": 1, "skdim_version": "0.1.0", "random_state": "0"}
    head |= {"X": "ab", "y": "cd", "test": "ef"}
    entries = [head, {"arm": "ridge", "fingerprint": "0", "estimator": "Ridge()"}]
    entries += [{"arm": "ridge", "repeat": k, **fit} for k in range(4)]
    lines = [json.dumps(entry).encode() for entry in entries]

    def mutate(rng):
        at = int(rng.integers(len(lines)))
        content = b"\n".join([*lines[:at], mutated_json(rng, entries[at]), *lines[at + 1 :], b""])
        return mutated_bytes(rng, content) if rng.random() < 0.3 else content

    def read(content):
        (folder / "results.jsonl").write_bytes(content)
        read_results(folder / "results.jsonl")

    return mutate, read


def json_tables(material, folder):
    """Downloaded tables of crystals."""
    rows = [[s.as_dict(), float(k)] for k, s in enumerate(material[0][:4])]
    table = {"index": [0, 1, 2, 3], "columns": ["structure", "energy"], "data": rows}

    def read(content):
        (folder / "table.json").write_bytes(content)
        read_table(folder / "table.json")

    return lambda rng: mutated_json(rng, table), read


def archives(material, folder):
    """zip files of CIFs."""
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for k, s in enumerate(material[0][:2]):
                archive.writestr(f"{k}.cif", s.to(fmt="cif"))
        valid = file.getvalue()
    return lambda rng: mutated_bytes(rng, valid), lambda content: _read_source(folder / "a.zip", content)


def parquet_tables(material, folder):
    """Parquet tables of structures as flat numbers."""
    flat = [(s.lattice.matrix.ravel(), s.atomic_numbers, s.frac_coords.ravel()) for s in material[0][:2]]
    columns = dict(zip(("lattice", "species", "frac_coords"), map(list, zip(*flat, strict=True)), strict=True))
    pd.DataFrame({"material_id": list("ab"), **columns}).to_parquet(folder / "a.parquet")
    valid = (folder / "a.parquet").read_bytes()
    return lambda rng: mutated_bytes(rng, valid), lambda content: _read_source(folder / "a.parquet", content)


def csv_tables(material, folder):
    """CSV tables of CIFs and of dicts as JSON."""
    texts = [s.to(fmt="cif") for s in material[0][:3]] + [json.dumps(material[0][3].as_dict())]
    table = pd.DataFrame({"material_id": list("abcd"), "structure": texts, "split": ["train"] * 3 + ["test"]})
    valid = table.to_csv(index=False)

    def mutate(rng):
        if rng.random() < 0.5:
            return mutated_text(rng, valid).encode(errors="surrogatepass")
        return mutated_bytes(rng, valid.encode())

    return mutate, lambda content: _read_source(folder / "a.csv", content, without_test=True)


def csv_labels(material, folder):
    """CSV tables of labels, as the command line reads them."""
    for k, s in enumerate(material[0][:2]):
        s.to(filename=str(folder / f"{k}.cif"))
    valid = 'id,energy,"a, b"\n' + "".join(f"{k}.cif,{k / 7},x\n" for k in range(8)) + "8.cif,,y\n"
    args = Namespace(table=folder / "labels.csv", target="energy", task="regression", id=None, structures=[folder])

    def mutate(rng):
        if rng.random() < 0.3:
            return mutated_bytes(rng, valid.encode(), 1)
        lines = [line.split(",") for line in valid.split("\n")]
        for _ in range(int(rng.geometric(0.6))):
            line = lines[int(rng.integers(len(lines)))]
            line[int(rng.integers(len(line)))] = str(rng.choice(NUMBERS + WORDS))
        return "\n".join(map(",".join, lines)).encode(errors="surrogatepass")

    def read(content):
        args.table.write_bytes(content)
        labels = check_labels(args)
        assert not np.isinf(labels["y"]).any()
        assert len(labels) == len(labels["key"]) > 0

    return mutate, read


def ase_databases(material, folder):
    """ASE databases."""
    from ase.db import connect

    with connect(folder / "a.db") as database:
        for s in material[0][:2]:
            database.write(s.to_ase_atoms(msonable=False))
    valid = (folder / "a.db").read_bytes()
    return lambda rng: mutated_bytes(rng, valid), lambda content: _read_source(folder / "a.db", content)


def _read_source(path, content, **options):
    path.write_bytes(content)
    raws = [raw for _, raw in open_source(path, **options).read()]
    if raws:
        SiteNetFeaturizer(on_error="warn").transform(raws)
