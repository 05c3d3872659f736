"""`skdim predict --known`: properties that weights have learned, without labels."""

import numpy as np
import pandas as pd

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer


def test_known_properties_of_the_included_weights(run, cifs, structures, tmp_path):
    code, _, err = run("predict", "properties", cifs, "-o", tmp_path / "p.csv", "--known")
    assert code == 0
    embedder = DeepInfoMaxEmbedder.from_pretrained("properties")
    assert f"{len(embedder.known_properties_)} properties of 10 crystals" in err
    table = pd.read_csv(tmp_path / "p.csv")
    assert table.columns.tolist() == ["id", "formula", *embedder.known_properties_]
    X = SiteNetFeaturizer().fit_transform(structures[:10])
    assert table["formula"].tolist() == X.formulas
    expected = embedder.predict_properties(X)
    # The coordinates of the files have fewer digits.
    np.testing.assert_allclose(table[list(expected.columns)], expected, rtol=1e-3, atol=1e-3)


def test_failed_structures_keep_their_rows(run, cifs, tmp_path):
    (tmp_path / "bad.cif").write_text("data_x\n_cell_length_a 3\n")
    sources = (cifs / "s0.cif", tmp_path / "bad.cif")
    assert run("predict", "properties", *sources, "-o", tmp_path / "p.csv", "--known")[0] == 1
    table = pd.read_csv(tmp_path / "p.csv")
    assert table["band_gap"].isna().tolist() == [False, True]
    assert table["formula"].isna().tolist() == [False, True]


def test_weights_without_properties_are_refused(run, cifs, tmp_path):
    code, _, err = run("predict", "structures", cifs, "-o", tmp_path / "p.csv", "--known")
    assert code == 2
    assert "the weights structures have learned no properties: use `properties`" in err
    code, _, err = run("predict", "nothing", cifs, "-o", tmp_path / "p.csv", "--known")
    assert code == 2
    assert "no such folder: nothing" in err
