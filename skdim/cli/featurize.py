"""``skdim featurize``: structures to a store of crystals."""

from __future__ import annotations

from pathlib import Path

from ._crystals import Named, featurize, is_store, report, stored_ids
from ._terminal import DONE, SOME_FAILED, add_featurizing, add_sources, say

_DESCRIPTION = """\
Turn structures into sites and distances, once, and keep them in a store: a folder of plain arrays that every other
command takes in the place of structures, in memory that does not grow with it. Worth it for many structures, or where
several commands follow.
"""
_EPILOG = """\
examples:
  skdim featurize my_cifs/ -o crystals --jobs -1
  skdim embed crystals -o vectors.parquet
  skdim pretrain crystals -o my_weights

A run that was interrupted or killed goes on with the same command. A structure that cannot be used keeps its row,
empty; it is named on the terminal and in STORE/failures.csv, and the exit code is 1.
"""


def add(commands):
    parser = commands.add_parser(
        "featurize", help="structures to a store that the others take", description=_DESCRIPTION, epilog=_EPILOG
    )
    add_sources(parser, stores=False)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="STORE", help="new folder to write, some 1.3 kB a crystal"
    )
    add_featurizing(parser, max_sites_default="50")
    parser.add_argument(
        "--oxidation-states",
        choices=("species", "guess"),
        help="add the oxidation state as a site feature: the one in the file, or guessed from the composition. The "
        "weights that come with skdim do not use it",
    )
    return parser


def run(args):
    from .._shared.files import refuse_existing

    refuse_existing(args.output)
    from .. import SiteNetFeaturizer
    from .._structures.sources.open_source import open_sources

    for path in args.sources:
        if is_store(path):
            raise ValueError(f"{path} is a store of featurized crystals already")
    settings = {k: v for k in ("max_sites", "disordered", "strict_cif") if (v := getattr(args, k)) is not None}
    featurizer = SiteNetFeaturizer(
        **settings, oxidation_states=args.oxidation_states, n_jobs=args.jobs, on_error="warn", verbose=1
    )
    X = featurize(featurizer, open_sources(args.sources), args.output)
    n_failed = report(Named(X, stored_ids(args.output, len(X))), None)
    if n_failed:
        say(f"  all of them: {args.output / 'failures.csv'}")
    say(f"{args.output}: {X!r}")
    return SOME_FAILED if n_failed else DONE
