"""``skdim embed``: a vector for each crystal, or for each of its sites."""

from __future__ import annotations

from pathlib import Path

from ._crystals import check_sources, crystals_of, featurizer_of, reader_of, report, work_folder
from ._tables import need_pyarrow, sites_table, write_table
from ._terminal import (
    DONE,
    SOME_FAILED,
    add_device,
    add_featurizing,
    add_sources,
    add_weights,
    check_device,
    say,
)

_DESCRIPTION = """\
Write a vector for each crystal: features for any model, map or neighbour search. Nothing is trained: the weights come
with skdim, or from `skdim pretrain`.
"""
_EPILOG = """\
examples:
  skdim embed *.cif -o vectors.csv                   a row a file
  skdim embed my_cifs/ more.zip -o vectors.parquet   a smaller, faster table
  skdim embed crystals -o vectors.npy                a store of skdim featurize
  skdim embed NaCl.cif -o sites.csv --sites          a row for each site

The first column, id, is the file's name, or the table's column id or material_id, or the row's number. The rows come
in the order of the input: pandas.read_csv("vectors.csv", index_col="id") reads them. A structure that cannot be used
keeps its row, empty; it is named on the terminal and in OUTPUT.failures.csv, and the exit code is 1. A run that was
interrupted goes on with the same command.
"""


def add(commands):
    parser = commands.add_parser(
        "embed", help="a vector for each crystal, or each site", description=_DESCRIPTION, epilog=_EPILOG
    )
    add_sources(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help="new file to write: .csv, .parquet (needs pyarrow) or .npy (numbers alone, in the order of the input)",
    )
    add_weights(parser)
    parser.add_argument(
        "--representation",
        choices=("both", "global", "local"),
        help="the crystal's own vector (global), mean and standard deviation of its sites' vectors (local), or both "
        "side by side, which measures best under small models (default: the weights' own, both)",
    )
    parser.add_argument(
        "--sites",
        action="store_true",
        help="a vector for each site instead, with its element; sites are counted from 0 in the structure's order",
    )
    add_device(parser)
    add_featurizing(parser, max_sites_default="the weights' own, 50")
    return parser


def run(args):
    if args.output.suffix not in (".csv", ".parquet", ".npy"):
        raise ValueError(f"{args.output} must end in .csv, .parquet or .npy, as that says what to write")
    if args.sites and args.output.suffix == ".npy":
        raise ValueError("--sites needs a table, .csv or .parquet: a .npy has no place for what a row belongs to")
    if args.sites and args.representation:
        raise ValueError("--representation is about crystals' vectors, --sites about sites': give one of them")
    from .._shared.files import refuse_existing

    refuse_existing(args.output)
    if args.output.suffix == ".parquet":
        need_pyarrow()
    check_sources(args.sources, args)
    check_device(args.device)

    from .. import DeepInfoMaxEmbedder

    options = {"device": args.device, "verbose": 1}
    if args.representation:
        options["representation"] = args.representation
    embedder = DeepInfoMaxEmbedder.from_pretrained(args.weights, **options)
    with work_folder(args.output) as work:
        named = crystals_of(args.sources, work, featurizer_of(args, embedder))
        if named.X.site_features != embedder.site_features_:
            named = named._replace(X=named.X.with_site_features(embedder.site_features_))
        n_failed = report(named, args.output, reader_of(args.sources))
        if args.sites:
            table, n_columns = sites_table(embedder, named)
            write_table(table, args.output)
            n_rows, what = len(table), "sites"
        else:
            ids = None if args.output.suffix == ".npy" else named.ids
            embedder.transform_to_disk(named.X, args.output, ids=ids)
            n_rows, n_columns = len(named.X), len(embedder.get_feature_names_out())
            what = "crystals" if not n_failed else f"rows ({n_failed} empty)"
        say(f"{args.output}: {n_rows} {what}, {n_columns} numbers each")
    return SOME_FAILED if n_failed else DONE
