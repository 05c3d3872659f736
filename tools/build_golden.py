"""Write the golden files of the tests: every file format of this release, which later releases must read.

    python tools/build_golden.py tests/house/golden/0.1.0

Run once per release. Never write the files of a release again: the tests would not notice that they can no longer be
read.
"""

import argparse
import json
import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.dummy import DummyRegressor

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim.cli._model_file import save_model
from skdim.datasets import make_crystals
from skdim.model_selection import label_efficiency

NARROW = {"site_width": 8, "pair_width": 8, "attention_hidden": 8, "value_hidden": 8, "pre_pool": (8,), "post_pool": ()}
SMALL = {"n_components": 4, "local_dim": 4, "encoder_params": NARROW, "random_state": 0, "device": "cpu"}
#: Parameters of the run of the checkpoint, which ends after the first of its two epochs.
CHECKPOINT = {**SMALL, "max_epochs": 2, "learning_rate": "constant"}
IDS = [f"mp-{k}" for k in range(7)]


class Killed(Exception):
    """Ends a run before it is complete."""


def unfinished_store(texts, folder):
    """The partial store of a run of transform_to_disk that ends after two of its three chunks."""

    def rows():
        yield from texts[:4]
        raise Killed

    with tempfile.TemporaryDirectory() as parent:
        try:
            SiteNetFeaturizer().transform_to_disk(rows(), Path(parent) / "store", chunk_size=2)
        except Killed:
            shutil.copytree(Path(parent) / ".store.partial", folder)


def checkpoint(X, path):
    """The checkpoint of a run that ends in its second epoch."""

    def end(net, *args, **kwargs):
        if len(net.history) == 2:
            raise Killed

    try:
        DeepInfoMaxEmbedder(**CHECKPOINT, checkpoint=path, callbacks=_callback(end)).fit(X)
    except Killed:
        return


def _callback(function):
    from skorch.callbacks import Callback

    class OnBatchBegin(Callback):
        def on_batch_begin(self, net, training=False, **kwargs):
            function(net)

    return OnBatchBegin()


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="new folder, named after the release")
    folder = parser.parse_args(argv).folder
    folder.mkdir(parents=True)
    structures, y = make_crystals(6, random_state=0)
    texts = [structure.to(fmt="cif") for structure in structures]
    (folder / "structures.json").write_text(json.dumps({"cif": texts}, indent=1) + "\n")
    pd.DataFrame({"id": IDS, "cif": [*texts, "no crystal"]}).to_csv(folder / "table.csv", index=False)
    featurizer = SiteNetFeaturizer(on_error="warn")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the row that fails
        X = featurizer.transform(pd.Series([*texts, "no crystal"], index=IDS))
        featurizer.transform_to_disk(folder / "table.csv", folder / "from_table")
    X.save(folder / "crystals")
    unfinished_store(texts, folder / "unfinished")

    embedder = DeepInfoMaxEmbedder(**SMALL, max_epochs=2).fit(X[:6])
    embedder.save_pretrained(folder / "weights", metadata={"licence": "none needed"})
    vectors = embedder.transform(X)
    for suffix in (".npy", ".csv"):
        embedder.transform_to_disk(X, folder / f"vectors{suffix}", ids=None if suffix == ".npy" else IDS)
    checkpoint(X[:6], folder / "run.pt")
    regressor = SiteNetRegressor(**SMALL, max_epochs=2).fit(X[:6], y)
    save_model(regressor, folder / "model.skops", {"target": "y"})

    table = label_efficiency(
        {"mean": DummyRegressor()},
        np.arange(40.0)[:, None],
        np.arange(40.0),
        train_sizes=[10],
        n_repeats=3,
        random_state=0,
        results_file=folder / "results.jsonl",
    )
    rows = [[structure.as_dict(), float(value)] for structure, value in zip(structures[:2], y[:2], strict=True)]
    (folder / "table.json").write_text(json.dumps({"index": [0, 1], "columns": ["structure", "y"], "data": rows}))
    expected = {
        "formulas": X.formulas,
        "n_sites": X.n_sites.tolist(),
        "distance": X.distance.tolist(),
        "vectors": [None if np.isnan(row).any() else row.tolist() for row in vectors],
        "resumed": DeepInfoMaxEmbedder(**CHECKPOINT).fit(X[:6]).transform(X[:6]).tolist(),
        "predictions": regressor.predict(X[:6]).tolist(),
        "mae": table["mae"].tolist(),
        "y": y[:2].tolist(),
    }
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
