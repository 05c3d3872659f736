"""`skdim info`."""

import json
from types import SimpleNamespace

from skdim import DeepInfoMaxEmbedder


def test_info_describes_installation_table_and_store(run, table, cifs, tmp_path):
    code, out, _ = run("info")
    assert code == 0
    assert out.startswith("skdim ")
    for name in ("structures", "properties"):
        n_crystals = DeepInfoMaxEmbedder.from_pretrained(name).n_crystals_
        assert f"Weights included in skdim: {name}\nweights pre-trained on {n_crystals} crystals" in out
    assert "known properties: formation_energy, band_gap" in out
    assert "30 rows with structures\nnames: m0, m1, m2, ..." in run("info", table)[1]
    run("featurize", cifs, "-o", tmp_path / "store")
    code, out, _ = run("info", tmp_path / "store", "--verify")
    assert code == 0
    assert "Crystals(10 crystals" in out
    assert "all checksums match" in out
    header = json.loads((tmp_path / "store" / "header.json").read_text())
    assert all(feature in out for feature in header["site_features"])


def test_info_names_missing_extras(run, monkeypatch):
    specs = {"ase": None, "matplotlib": None}
    monkeypatch.setattr("skdim.cli.info.util", SimpleNamespace(find_spec=lambda name: specs.get(name, "a spec")))
    out = run("info")[1]
    assert '\nnot installed: ase, plot (pip install "skdim-crystals[ase,plot]")\n' in out
