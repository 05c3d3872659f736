"""Write the golden files of the tests: what this release writes, kept so that later ones can be seen to read it.

    python tools/build_golden.py tests/house/golden/0.1.0

Made once a release, and never again for the same one: a later release must read the files, not make them anew.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.dummy import DummyRegressor

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import make_crystals
from skdim.model_selection import label_efficiency

NARROW = {"site_width": 8, "pair_width": 8, "attention_hidden": 8, "value_hidden": 8, "pre_pool": (8,), "post_pool": ()}


def main(folder):
    folder = Path(folder)
    folder.mkdir(parents=True)
    structures, y = make_crystals(6, random_state=0)
    texts = [structure.to(fmt="cif") for structure in structures]
    (folder / "structures.json").write_text(json.dumps({"cif": texts}, indent=1) + "\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the row that fails
        X = SiteNetFeaturizer(on_error="warn").transform([*texts, "no crystal"])
    X.save(folder / "crystals")
    embedder = DeepInfoMaxEmbedder(
        n_components=4, local_dim=4, encoder_params=NARROW, max_epochs=2, random_state=0, device="cpu"
    ).fit(X[:6])
    embedder.save_pretrained(folder / "weights", metadata={"licence": "none needed"})
    vectors = embedder.transform(X)
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
        "mae": table["mae"].tolist(),
        "y": y[:2].tolist(),
    }
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
