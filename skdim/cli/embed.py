"""``skdim embed``: a vector for each crystal, or for each of its sites."""

from __future__ import annotations

from pathlib import Path

from ._inputs.crystals import check_sources, crystals_of, featurizer_of, reader_of, report, work_folder
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
Compute a vector for each crystal: features for any model, map or nearest-neighbour search. Nothing is trained: the
weights are those included in skdim, or from `skdim pretrain`.
"""
_EPILOG = """\
examples:
  skdim embed *.cif -o vectors.csv                   one row per file
  skdim embed my_cifs/ more.zip -o vectors.parquet   a smaller, faster table
  skdim embed crystals -o vectors.npy                from a store of featurize
  skdim embed NaCl.cif -o sites.csv --sites          one row per site

The first column, id, is the name of the file, or the column id or material_id of a table, or the row number. Rows are
in the order of the input; read them with pandas.read_csv("vectors.csv", index_col="id"). A structure that fails keeps
an empty row, is listed on the terminal and in OUTPUT.failures.csv, and the exit code is 1. To resume an interrupted
run, run the same command.
"""


def add(commands):
    parser = commands.add_parser(
        "embed", help="compute a vector for each crystal, or for each site", description=_DESCRIPTION, epilog=_EPILOG
    )
    add_sources(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help="output file: .csv, .parquet (needs pyarrow) or .npy (numbers only, in the order of the input)",
    )
    add_weights(parser)
    parser.add_argument(
        "--representation",
        choices=("both", "global", "local"),
        help="the vector of the crystal (global), mean and standard deviation of the vectors of its sites (local), or "
        "both, which performs best with small models (default: that of the weights, both)",
    )
    parser.add_argument(
        "--sites",
        action="store_true",
        help="compute a vector for each site instead, with its element; sites are numbered from 0 in the order of the "
        "structure",
    )
    add_device(parser)
    add_featurizing(parser, max_sites_default="that of the weights, 50")
    return parser


def run(args):
    if args.output.suffix not in (".csv", ".parquet", ".npy"):
        raise ValueError(f"{args.output} must end in .csv, .parquet or .npy")
    if args.sites and args.output.suffix == ".npy":
        raise ValueError("--sites needs a table (.csv or .parquet): a .npy file cannot hold the ids of the rows")
    if args.sites and args.representation:
        raise ValueError(
            "--representation is for vectors of crystals, --sites for vectors of sites: use only one of them"
        )
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
        named = crystals_of(args.sources, work, featurizer_of(args, embedder), embedder.site_features_)
        n_failed = report(named, args.output, reader_of(args.sources))
        if args.sites:
            table, n_columns = sites_table(embedder, named)
            write_table(table, args.output)
            n_rows, kind = len(table), "sites"
        else:
            ids = None if args.output.suffix == ".npy" else named.names
            embedder.transform_to_disk(named.X, args.output, ids=ids)
            n_rows, n_columns = len(named.X), len(embedder.get_feature_names_out())
            kind = "crystals" if not n_failed else f"rows ({n_failed} empty)"
        say(f"{args.output}: {n_rows} {kind}, {n_columns} numbers each")
    return SOME_FAILED if n_failed else DONE
