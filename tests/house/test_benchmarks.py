"""The dense implementation gives the embeddings of skdim, and every benchmark runs."""

import json

import pytest
import torch

from benchmarks import dense
from benchmarks.__main__ import BENCHMARKS, main
from benchmarks._results import Result, table
from benchmarks.speed import count_operations, dense_transform
from skdim import PAPER_SITE_FEATURES, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import make_crystals


@pytest.fixture(scope="module")
def structures():
    return make_crystals(8, random_state=1)[0]


@pytest.fixture(scope="module")
def loader(structures):
    featurizer = SiteNetFeaturizer(compress=False, site_features=PAPER_SITE_FEATURES)
    return dense.PaddedLoader(featurizer.fit_transform(structures), batch_sites=30)


def test_the_dense_implementation_gives_the_same_embeddings(structures, loader):
    crystals = SiteNetFeaturizer(distance_tol=1e-6, site_features=PAPER_SITE_FEATURES).fit_transform(structures)
    embedder = DeepInfoMaxEmbedder(**dense.SETTINGS, max_epochs=1, device="cpu", random_state=0).fit(crystals)
    model = dense.DenseDeepInfoMax()
    dense.copy_weights(model, embedder.net_.module_.state_dict())
    expected = torch.from_numpy(embedder.transform(crystals))
    torch.testing.assert_close(dense_transform(model, loader), expected, rtol=0, atol=1e-4)


def test_the_dense_step_trains_every_weight(loader):
    torch.manual_seed(0)
    model = dense.DenseDeepInfoMax()
    loss = model(next(iter(loader())))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_padding_does_not_change_vectors(loader):
    model = dense.DenseDeepInfoMax()
    with torch.no_grad():
        together = dense_transform(model, loader)
        batches = [dense.collate([row]) for row in loader.rows]
        alone = torch.cat([model.encoder.pool(b, model.encoder.local(b)[0])[0] for b in batches])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)


def test_operations_are_the_same_compiled_or_not(structures, monkeypatch):
    crystals = SiteNetFeaturizer().fit_transform(structures)
    embedder = DeepInfoMaxEmbedder(max_epochs=0, device="cpu", random_state=0).fit(crystals)
    compiled = count_operations(embedder, crystals)
    monkeypatch.setenv("SKDIM_NO_NUMBA", "1")
    plain = count_operations(embedder, crystals)
    assert compiled[0] > 3 * compiled[1] > 0
    assert compiled == pytest.approx(plain, rel=0.05)
    monkeypatch.delenv("SKDIM_NO_NUMBA")
    assert count_operations(embedder, crystals) == compiled, "the loops are themselves again"


NEW_PROCESSES = pytest.mark.slow(reason="starts processes that import torch and scikit-learn")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=NEW_PROCESSES if name in ("imports", "out_of_core", "speed") else ())
        for name in BENCHMARKS
    ],
)
def test_every_benchmark_runs(name, tmp_path, capsys):
    path = tmp_path / "results.json"
    assert main([name, "--quick", "--json", str(path)]) == 0
    shown = capsys.readouterr().out
    report = json.loads(path.read_text())
    assert list(report["results"]) == [name]
    results = report["results"][name]
    assert all(result["name"] in shown for result in results)
    assert any(result["met"] is not None for result in results)


def test_all_benchmarks_run_by_default(tmp_path, capsys, monkeypatch):
    for name, (title, _) in BENCHMARKS.items():
        monkeypatch.setitem(BENCHMARKS, name, (title, lambda quick, name=name: [Result(f"of {name}", 1.0, "s")]))
    path = tmp_path / "results.json"
    assert main(["--json", str(path)]) == 0
    shown = capsys.readouterr().out
    report = json.loads(path.read_text())
    assert [result["name"] for results in report["results"].values() for result in results] == [
        f"of {name}" for name in BENCHMARKS
    ]
    assert all(title in shown for title, _ in BENCHMARKS.values())


def test_an_unknown_name_raises_and_lists_the_known_names(capsys):
    with pytest.raises(SystemExit):
        main(["sped"])
    assert ", ".join(BENCHMARKS) in capsys.readouterr().err


def test_the_table_shows_requirements():
    good, bad = Result("a", 5.0, "times", (">=", 5)), Result("b", 3.0, "MB", ("<=", 2))
    assert good.met
    assert not bad.met
    assert Result("c", 1.0, "").met is None
    assert "required >= 5: met" in table("t", [good])
    assert "required <= 2: NOT MET" in table("t", [bad])
