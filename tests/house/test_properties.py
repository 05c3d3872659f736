"""Properties of random structures; tools/long_run.py tests many more."""

import itertools

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.helpers import random_crystals as crystals

# The same examples each time, and no time limit: the machine may be busy.
settings.register_profile(
    "skdim", deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile("skdim")


# 2 000 structures, as docs/trust.md says: in parts, which processes can share.
@pytest.mark.parametrize("part", range(4))
def test_crystals_do_not_depend_on_compression_and_rewriting(part):
    """Invariant to compression and rewriting; no warning, no crash, values within their limits."""
    used = []

    @seed(part)
    @settings(max_examples=500, derandomize=False)
    @given(crystals.structures(), crystals.rewritings())
    def check(structure, rewrite):
        used.append(crystals.check_structure(structure, rewrite))

    check()
    assert len(used) >= 500
    assert sum(used) > 300, "most must be featurized, or nothing is tested"


@settings(max_examples=400)
@given(crystals.wild_structures(), st.sampled_from(["orthorhombic", "primitive", "none"]))
def test_wild_numbers_are_featurized_or_refused(structure, supercell):
    crystals.check_wild(structure, supercell)


@pytest.mark.filterwarnings("ignore:X was featurized with max_sites")
def test_vectors_are_finite_and_independent_of_batch_and_compression(embedder):
    """Finite, and independent of compression and of the order of the rows."""
    used = itertools.count()

    @settings(max_examples=12)
    @given(st.lists(crystals.structures(), min_size=10, max_size=20))
    def check(structures):
        for _ in range(crystals.check_vectors(structures, embedder)):
            next(used)

    check()
    assert next(used) > 50
