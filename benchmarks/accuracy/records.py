"""The files of results: one row per fit, and what the report says about rows, labels and weights."""

import json

import numpy as np
import pandas as pd


def of_weights(weights, target, keep_out):
    """What is known about a set of weights, dict for JSON."""
    return {
        "sha256": weights.digests,
        "known_properties": list(weights.known_properties),
        "knows_target": target.is_known(weights.known_properties),
        "n_left_out": None if keep_out is None else weights.left_out(keep_out),
    }


def of_mlip(mlip, target, sources):
    """What is known about MLIP features, dict for JSON."""
    matrix = sources.matrix("MLIP", 0)[sources.wanted]
    return {
        "features": repr(mlip),
        "knows_target": target.is_known(mlip.leaks),
        "n_failed": int(np.isnan(matrix).any(axis=1).sum()),
        "n_rows": len(matrix),
    }


def write(stem, frame, description):
    """Write STEM.csv and STEM.json; models and weights of earlier calls are kept."""
    path, about = stem.with_name(f"{stem.name}.csv"), stem.with_name(f"{stem.name}.json")
    has_best = frame["arm"].str.startswith("best").any()
    if path.exists():
        old = pd.read_csv(path)
        frame = pd.concat([old[~old["arm"].isin(frame["arm"])], frame])
    if about.exists():
        before = json.loads(about.read_text(encoding="utf-8"))
        description["weights"] = {**before["weights"], **description["weights"]}
        description["mlip"] = description["mlip"] or before["mlip"]
        description["best"] = description["best"] if has_best else before["best"]
    frame = frame.round({"mae": 5, "fit_time": 3, "predict_time": 3})
    for file, text in ((path, frame.to_csv(index=False)), (about, json.dumps(description, indent=1) + "\n")):
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_name(f"{file.name}.part")
        half.write_text(text, encoding="utf-8", newline="\n")
        half.replace(file)
    print(f"\nWrote {path}: {len(frame)} fits", flush=True)
