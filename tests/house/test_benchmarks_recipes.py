"""Recipes of weights are trained, resumed and compared on tables; tables of a teacher and of rattled crystals."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from benchmarks.accuracy import arms, data, rattled, recipes, teacher, validation
from benchmarks.accuracy.weight_recipes import RECIPES, Stage, changed, key_of
from skdim import Crystals, DeepInfoMaxEmbedder, DensityStatistics, SiteNetFeaturizer, StructureStatistics
from skdim._shared.stateless import StatelessTransformer
from skdim.datasets import make_crystals
from skdim.model_selection import label_draws
from tests.helpers.small_estimators import NARROW
from tests.helpers.small_structures import table_of

pytest.importorskip("matminer", reason="needs the extra 'baselines'")
pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")

N = 120
SMALL = {"n_components": 4, "local_dim": 4, "encoder_params": NARROW, "batch_sites": 60}
STRUCTURES = Stage("structures", ("mp_megnet",), 1, SMALL)
PROPERTIES = Stage(
    "properties",
    ("mp_megnet", "dielectric"),
    2,
    {**SMALL, "objective": None, "descriptor_weight": 0},
    ("energy=formation_energy_per_atom", "log10_gap=log10:band_gap"),
)
SMALL_RECIPES = {
    "properties": (STRUCTURES, PROPERTIES),
    "faster": (STRUCTURES, changed(PROPERTIES, learning_rate_init=0.01)),
}


class StandInFeatures(StatelessTransformer, BaseEstimator):
    """Stands in for MLIPFeatures: the volume and the number of sites; no features of crystals of 2 sites."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.array([[s.volume, len(s)] if len(s) != 2 else [np.nan] * 2 for s in X])

    def get_feature_names_out(self, input_features=None):
        return np.array(["volume", "sites"], dtype=object)


@pytest.fixture(scope="module")
def X():
    return SiteNetFeaturizer().fit_transform(make_crystals(N, random_state=0)[0])


@pytest.fixture(scope="module")
def folder(X, tmp_path_factory):
    """Two tables, and formulas to leave out, a third of those of the training rows."""
    folder = tmp_path_factory.mktemp("recipes")
    structures, y = make_crystals(N, random_state=0)
    split = ["test" if k % 3 == 0 else "train" for k in range(N)]
    columns = {"id": [f"x-{k}" for k in range(N)], "formula": list(X.formulas), "split": split}
    labels = {"formation_energy_per_atom": y, "band_gap": np.abs(y)}
    table_of(structures, **columns, **labels).to_parquet(folder / "mp_megnet.parquet")
    table_of(structures, **columns, n=np.exp(y)).to_parquet(folder / "dielectric.parquet")
    training = sorted({formula for formula, part in zip(X.formulas, split, strict=True) if part == "train"})
    (folder / "keep_out.txt").write_text("\n".join(training[::3]) + "\n")
    return folder


def left_out(folder):
    return set((folder / "keep_out.txt").read_text().split())


def run(folder, work, *options):
    recipes.main(
        [
            *(str(folder), "--recipes", "properties", "faster", "--targets", "dielectric-n", "--seen", "dielectric"),
            *("--work", str(work), "--jobs", "1", "--threads", "1", "--device", "cpu", *options),
        ]
    )


def test_recipes_are_compared_and_finished_trainings_kept(folder, X, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(recipes, "RECIPES", SMALL_RECIPES)
    for module in (recipes, validation):
        monkeypatch.setattr(module, "DRAWS", {12: 2})
    run(folder, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    weights = {path.name: path for path in (tmp_path / "weights").iterdir()}
    keys = {name: f"{key_of(stages)}-0" for name, stages in SMALL_RECIPES.items()}
    assert set(weights) == {f"{key_of([STRUCTURES])}-0", *keys.values()}, "the first stage is trained once"
    info = json.loads((weights[keys["faster"]] / "config.json").read_text())
    assert info["parameters"]["learning_rate_init"] == 0.01
    assert info["metadata"]["start"]["name"] == f"{key_of([STRUCTURES])}-0"
    assert "--leave-out keep_out.txt" in info["metadata"]["command"]
    used = [X for path in (tmp_path / "training").glob("train-*") for X in Crystals.load(path).formulas]
    assert used
    assert not set(used) & left_out(folder)

    frame = pd.read_parquet(folder / "dielectric.parquet")
    is_train = (frame["split"] == "train").to_numpy()
    is_seen = ~frame["formula"].isin(left_out(folder)).to_numpy()
    labelled, held_out = np.flatnonzero(is_train & is_seen), np.flatnonzero(is_train & ~is_seen)
    y, medians = frame["n"].to_numpy(), {}
    for name, key in keys.items():
        sources = (StructureStatistics(), DensityStatistics(), DeepInfoMaxEmbedder.from_pretrained(weights[key]))
        matrix = np.hstack([source.transform(X) for source in sources])
        blocks = {"statistics": slice(0, 106), "density": slice(106, 113), "vectors": slice(113, matrix.shape[1])}
        errors = []
        for draw in label_draws(len(labelled), train_sizes=[12], n_repeats=2, random_state=0):
            model = arms.block_gp(blocks).fit(matrix[labelled[draw.rows]], y[labelled[draw.rows]])
            errors.append(np.abs(model.predict(matrix[held_out]) - y[held_out]).mean())
        medians[name] = np.median(errors)
    row = next(line for line in lines if line.startswith("| faster |")).split(" | ")
    assert float(row[1]) == pytest.approx(medians["faster"], abs=0.002)
    ratio = medians["faster"] / medians["properties"]
    assert ratio != 1
    assert float(row[2].rstrip(" |")) == pytest.approx(ratio, abs=0.01)
    assert "seed 0: properties: mean ratio to properties 1.000" in lines
    assert f"seed 0: faster: mean ratio to properties {ratio:.3f}"[:-1] in "\n".join(lines)

    # What a killed run has not finished is made again, with the same result; the rest is not.
    before = (weights[keys["faster"]] / "weights.safetensors").read_bytes()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "weights").glob("[!f]*/weights.safetensors")}
    del kept[weights[keys["faster"]] / "weights.safetensors"]
    shutil.rmtree(weights[keys["faster"]])
    run(folder, tmp_path)
    assert capsys.readouterr().out.splitlines()[-1] == next(line for line in lines if line.startswith("| faster |"))
    assert (weights[keys["faster"]] / "weights.safetensors").read_bytes() == before
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())


def test_properties_can_be_left_out_and_errors_are_means_over_seeds(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(recipes, "RECIPES", SMALL_RECIPES)
    for module in (recipes, validation):
        monkeypatch.setattr(module, "DRAWS", {12: 1})
    run(folder, tmp_path, "--without", "log10_gap", "--seeds", "0", "1")
    out = capsys.readouterr().out
    stages = [stage.without(["log10_gap"]) for stage in SMALL_RECIPES["faster"]]
    assert DeepInfoMaxEmbedder.from_pretrained(tmp_path / "weights" / f"{key_of(stages)}-1").known_properties_ == (
        "energy",
    )
    errors = []
    for seed in range(2):
        folders = [tmp_path / "weights" / f"{key_of(stages)}-{seed}"]
        args = recipes.parse([str(folder), "--work", str(tmp_path)])
        errors.append(recipes.validated(folders[0], "dielectric-n", set(), args)[12])
    assert errors[0] != errors[1]
    row = next(line for line in out.splitlines() if line.startswith("| faster |"))
    assert float(row.split(" | ")[1]) == pytest.approx(np.mean(errors), abs=0.001)


def test_keys_change_with_any_stage_and_all_recipes_have_different_ones():
    assert len({key_of(stages) for stages in RECIPES.values()}) == len(RECIPES)
    assert key_of([STRUCTURES, PROPERTIES]) != key_of([changed(STRUCTURES, epochs=2), PROPERTIES])
    assert key_of([STRUCTURES, PROPERTIES]) == key_of([STRUCTURES, PROPERTIES.without(["unknown"])])


def test_teacher_table_has_features_of_training_rows_only(folder, X, tmp_path, monkeypatch):
    monkeypatch.setattr(teacher, "mlip_transformer", StandInFeatures)
    structures = make_crystals(N, random_state=0)[0]
    options = ["--work", str(tmp_path / "work"), "--output", str(tmp_path / "teacher.parquet")]
    teacher.main([str(folder), *options])
    frame = pd.read_parquet(tmp_path / "teacher.parquet")
    allowed = [k for k in range(N) if k % 3 and X.formulas[k] not in left_out(folder)]
    known = [k for k in allowed if len(structures[k]) != 2]
    assert len(known) > 0
    assert frame["id"].tolist() == [f"x-{k}" for k in known]
    assert (frame["split"] == "train").all()
    np.testing.assert_allclose(frame["CHGNet volume"], [structures[k].volume for k in known], rtol=1e-6)
    assert frame["species"].map(list).tolist() == [list(structures[k].atomic_numbers) for k in known]

    # Rows with features in the file come first, and are not computed again.
    first = known[-3:]
    pd.DataFrame({"row": first, "volume": [1.0, 2.0, 3.0], "sites": 4.0}).to_parquet(tmp_path / "mp_megnet.parquet")
    teacher.main([str(folder), *options, "--n-crystals", "3", "--mlip-features", str(tmp_path)])
    frame = pd.read_parquet(tmp_path / "teacher.parquet")
    assert frame["id"].tolist() == [f"x-{k}" for k in first]
    assert frame["CHGNet volume"].tolist() == [1.0, 2.0, 3.0]


def test_rattled_crystals_have_the_statistics_of_the_originals(folder, X, tmp_path):
    output = tmp_path / "rattled.parquet"
    options = [str(folder), "--work", str(tmp_path / "work"), "--output", str(output)]
    rattled.main([*options, "--max-sites", "8"])
    frame = pd.read_parquet(output)
    structures = make_crystals(N, random_state=0)[0]
    allowed = [k for k in range(N) if k % 3 and X.formulas[k] not in left_out(folder) and len(structures[k]) <= 8]
    assert len(allowed) > 0
    assert frame["formula"].tolist() == [X.formulas[k] for k in allowed]
    density = DensityStatistics().transform(X[allowed])[:, 0]
    np.testing.assert_allclose(frame["log_number_density"], density, rtol=1e-5)
    volumes = [abs(np.linalg.det(np.reshape(row, (3, 3)))) for row in frame["lattice"]]
    strain = np.log(volumes) - np.log([structures[k].volume for k in allowed])
    # The trace of the strain has three independent elements.
    assert 0.05 < strain.std() < 0.15
    rattled.main([*options, "--strain", "0", "--displacement", "0"])
    same = pd.read_parquet(output)
    np.testing.assert_allclose(same["lattice"].iloc[0], structures[allowed[0]].lattice.matrix.ravel())


def test_displacements_are_in_angstrom():
    (structure,), _ = make_crystals(1, random_state=1)
    row = data.FlatStructure(
        structure.lattice.matrix.ravel(), np.array(structure.atomic_numbers), structure.frac_coords.ravel()
    )
    rng = np.random.default_rng(0)
    shifts = [rattled.rattle(row, 0.0, 0.1, rng).frac_coords - row.frac_coords for _ in range(200)]
    moved = np.concatenate([shift.reshape(-1, 3) @ structure.lattice.matrix for shift in shifts])
    assert moved.std() == pytest.approx(0.1, rel=0.1)
