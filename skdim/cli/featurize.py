"""``skdim featurize``: write a store of featurized crystals."""

from __future__ import annotations

from pathlib import Path

from ._inputs.crystals import Named, featurize, has_names, is_store, report, stored_ids
from ._terminal import DONE, SOME_FAILED, add_featurizing, add_sources, say

_DESCRIPTION = """\
Compute sites and distances once, and save them in a store: a folder of plain arrays that all other commands accept
instead of structures, and read in constant memory. Useful for many structures, or before several commands.
"""
_EPILOG = """\
examples:
  skdim featurize my_cifs/ -o crystals --jobs -1
  skdim embed crystals -o vectors.parquet
  skdim pretrain crystals -o my_weights

To resume an interrupted or killed run, run the same command. A structure that fails keeps an empty row, is listed on
the terminal and in STORE/failures.csv, and the exit code is 1.
"""


def add(commands):
    parser = commands.add_parser(
        "featurize",
        help="write a store of structures that the other commands accept",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    add_sources(parser, stores=False)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="STORE", help="output folder, about 1.3 kB per crystal"
    )
    add_featurizing(parser, max_sites_default="50")
    parser.add_argument(
        "--oxidation-states",
        choices=("species", "guess"),
        help="add the oxidation state as a site feature: that in the file (species), or a guess from the composition "
        "(guess). The weights included in skdim do not use it",
    )
    return parser


def run(args):
    from .._shared.files import refuse_existing

    refuse_existing(args.output)
    from .. import SiteNetFeaturizer
    from .._structures.sources.open_source import open_sources

    for path in args.sources:
        if is_store(path):
            raise ValueError(f"{path} is already a store of featurized crystals")
    settings = {k: v for k in ("max_sites", "disordered", "strict_cif") if (v := getattr(args, k)) is not None}
    featurizer = SiteNetFeaturizer(
        **settings, oxidation_states=args.oxidation_states, n_jobs=args.jobs, on_error="warn", verbose=1
    )
    X = featurize(featurizer, open_sources(args.sources), args.output)
    n_failed = report(Named(X, stored_ids(args.output, len(X)), has_names(args.output)), None)
    if n_failed:
        say(f"  see {args.output / 'failures.csv'}")
    say(f"{args.output}: {X!r}")
    return SOME_FAILED if n_failed else DONE
