"""The attention table: its rows and columns, and that its values are those of the network."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pymatgen.core import Lattice, Structure
from sklearn.exceptions import NotFittedError

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim._training.batches import make_batch
from tests.helpers.small_estimators import SMALL

COLUMNS = [
    "crystal",
    "block",
    "head",
    "site",
    "neighbour",
    "element",
    "neighbour_element",
    "distance",
    "multiplicity",
    "count",
    "supercell_sites",
    "attention",
]
KEYS = ["crystal", "block", "head", "site"]


@pytest.fixture(scope="module")
def embedder(crystals):
    return DeepInfoMaxEmbedder(**SMALL, n_blocks=2, n_heads=3, max_epochs=1, batch_sites=60).fit(crystals)


@pytest.fixture(scope="module")
def table(embedder, crystals):
    return embedder.attention(crystals)


def test_rows_are_the_pairs_in_each_head_of_each_block(table, crystals):
    assert table.columns.tolist() == COLUMNS
    assert len(table) == 6 * len(crystals.distance)
    assert_array_equal(np.unique(table["crystal"]), np.arange(len(crystals)))
    assert (table.groupby(["block", "head"]).size() == len(crystals.distance)).all()
    sums = table.groupby(KEYS)["attention"].sum()
    assert_allclose(sums, 1, atol=1e-5)
    assert (table["attention"] > 0).all()
    # Heads differ.
    assert table.groupby(["block", "head"])["attention"].std().nunique() == 6


def test_values_are_the_attention_weights_of_the_network(embedder, table, crystals):
    encoder, weights = embedder.net_.module_.encoder, []
    batch = make_batch(crystals)
    with torch.no_grad():
        encoder.local(batch, encoder.site_terms(batch), encoder.pair_term(batch), weights)
    for (block, head), rows in table.groupby(["block", "head"]):
        assert_allclose(rows["attention"], weights[block][:, head], rtol=1e-4, atol=1e-7)
        assert_array_equal(rows["distance"], crystals.distance)
        assert_array_equal(rows["count"], crystals.count)


def test_site_indices_refer_to_the_input_structure(embedder, formation_crystals, crystals, table):
    first = table[(table["block"] == 0) & (table["head"] == 0)]
    for row in (0, 10, 30):
        structure, pairs = formation_crystals[row], first[first["crystal"] == row]
        assert {structure[k].specie.symbol for k in pairs["site"]} == {e.symbol for e in structure.composition}
        for site, element in pairs[["site", "element"]].itertuples(index=False):
            assert structure[site].specie.symbol == element
        for site, element in pairs[["neighbour", "neighbour_element"]].itertuples(index=False):
            assert structure[site].specie.symbol == element
        # The first site of each class.
        classes = crystals[row].site_class
        assert pairs["site"].unique().tolist() == [int(np.argmax(classes == k)) for k in range(classes.max() + 1)]


def test_columns_of_rock_salt(embedder):
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0, 0]])
    table = embedder.attention(SiteNetFeaturizer(site_features=embedder.site_features_).transform([salt]))
    pairs = table[(table["block"] == 0) & (table["head"] == 0) & (table["element"] == "Na")]
    assert pairs["site"].unique().tolist() == [0]
    assert pairs["neighbour"].unique().tolist() == [0, 4]  # the first Cl is the structure's fifth site
    nearest = pairs[pairs["neighbour_element"] == "Cl"].nsmallest(1, "distance").iloc[0]
    assert nearest["distance"] == pytest.approx(2.82)
    assert nearest["count"] == 6
    self_pair = pairs[pairs["distance"] == 0]
    assert self_pair[["count", "multiplicity", "neighbour"]].to_numpy().tolist() == [[1, 1, 0]]
    assert (pairs["supercell_sites"] == pairs["count"].sum()).all()


def test_merging_equivalent_pairs_does_not_change_their_total_attention(embedder, formation_crystals):
    structures = formation_crystals[:6]
    features = {"site_features": embedder.site_features_}
    merged = embedder.attention(SiteNetFeaturizer(**features).transform(structures))
    every = embedder.attention(SiteNetFeaturizer(**features, compress=False).transform(structures))
    assert len(every) > len(merged)
    assert (every[["count", "multiplicity"]] == 1).all(axis=None)
    for keys, rows in merged.groupby(["crystal", "block", "head", "element", "neighbour_element"], observed=True):
        names = ("crystal", "block", "head", "element", "neighbour_element")
        same = np.logical_and.reduce([every[name] == key for name, key in zip(names, keys, strict=True)])
        total = (rows["attention"] * rows["multiplicity"]).sum()
        assert every.loc[same, "attention"].sum() == pytest.approx(total, rel=1e-3)


def test_attention_does_not_depend_on_batches(embedder, table, crystals):
    parts = [embedder.attention(crystals[:20]), embedder.attention(crystals[20:])]
    parts[1]["crystal"] += 20
    assert_allclose(pd.concat(parts)["attention"], table["attention"], rtol=1e-4, atol=1e-7)
    assert_array_equal(pd.concat(parts)["crystal"], table["crystal"])


def test_regressors_have_an_attention_table(crystals):
    model = SiteNetRegressor(**SMALL, max_epochs=1).fit(crystals[:10], np.arange(10.0))
    table = model.attention(crystals[3])
    assert set(table["crystal"]) == {0}
    assert_allclose(table.groupby(KEYS)["attention"].sum(), 1, atol=1e-5)


def test_failed_rows_are_omitted(embedder, formation_crystals):
    featurizer = SiteNetFeaturizer(site_features=embedder.site_features_, on_error="warn")
    with pytest.warns(UserWarning, match="not"):
        X = featurizer.transform([formation_crystals[0], "nothing", formation_crystals[1]])
    assert embedder.attention(X)["crystal"].unique().tolist() == [0, 2]
    none = embedder.attention(X[1])
    assert none.columns.tolist() == COLUMNS
    assert len(none) == 0


def test_table_takes_42_bytes_per_row(table):
    assert table.memory_usage(index=False).sum() == pytest.approx(42 * len(table), rel=0.01)


def test_invalid_input_is_refused(embedder, crystals, formation_crystals):
    with pytest.raises(NotFittedError):
        DeepInfoMaxEmbedder().attention(crystals)
    with pytest.raises(TypeError, match=r"DeepInfoMaxEmbedder needs the Crystals that .* returns, not list"):
        embedder.attention(formation_crystals)
    other = crystals.with_site_features(["atomic_number"])
    with pytest.raises(ValueError, match="was fitted on the site features"):
        embedder.attention(other)
