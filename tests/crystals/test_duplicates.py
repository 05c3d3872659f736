"""Crystals that occur more than once."""

from skdim import Crystals, SiteNetFeaturizer
from skdim._crystals.columns import COLUMNS
from skdim._crystals.duplicates import first_occurrences


def test_only_first_occurrences_are_marked(X):
    twice = Crystals.concatenate([X[:10], X[:5], X[10:12]])
    (first,) = first_occurrences([(twice, None)])
    assert first.tolist() == [True] * 10 + [False] * 5 + [True] * 2
    first, second = first_occurrences([(X[:10], None), (X[8:11], None)])
    assert (first.all(), second.tolist()) == (True, [False, False, True])


def test_ids(X):
    first, no_ids, last = first_occurrences(
        [(X[:10], list(map(str, range(10)))), (X[:5], None), (X[10:12], ["3", "new"])]
    )
    assert (first.all(), no_ids.any(), last.tolist()) == (True, False, [False, True])
    assert first_occurrences([(X[:3], [None] * 3)])[0].all()


def test_failed_rows_repeat_nothing(structures, recwarn):
    X = SiteNetFeaturizer(on_error="warn").transform([None, structures[0], None])
    assert first_occurrences([(X, ["a", "b", "a"])])[0].tolist() == [False, True, False]


def test_stores_are_read_block_by_block(X, tmp_path, monkeypatch):
    X.save(tmp_path / "store")
    mapped = Crystals.load(tmp_path / "store", mmap_mode="r")
    monkeypatch.setattr("skdim._crystals.blocks._BLOCK", 4000)
    assert first_occurrences([(mapped, None)])[0].all()


def test_crystals_that_differ_in_one_column_are_not_duplicates(X):
    for name in ("numbers", "multiplicity", "distance", "count", "oxidation_states"):
        columns = {column: getattr(X[0], column).copy() for column in COLUMNS}
        columns[name][-1] += 1
        other = Crystals(columns, X.site_features, X.settings)
        assert first_occurrences([(X[:1], None), (other, None)])[1].all(), name
