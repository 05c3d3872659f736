"""``skdim search``: the crystals of a collection that are most similar to a query."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .._inputs.crystals import check_sources, crystals_of, featurizer_of, reader_of, report
from .._tables import check_table_path, write_table
from .._terminal import (
    DONE,
    SOME_FAILED,
    add_device,
    add_featurizing,
    add_sources,
    add_weights,
    check_device,
    number,
    printable,
    say,
)

_DESCRIPTION = """\
Find the crystals of a collection that are most similar to a query: those with the nearest vectors of the pre-trained
encoder. The search is exact.
"""
_EPILOG = """\
examples:
  skdim search query.cif my_cifs/ -n 10
  skdim search query.cif crystals -n 10         in a store of `skdim featurize`
  skdim search queries/ crystals -o neighbours.csv

To search a collection often, compute its vectors once, with the same weights:
  skdim featurize my_cifs/ -o crystals
  skdim embed crystals -o vectors.npy
  skdim search query.cif crystals --vectors vectors.npy

Each line has the name, the formula and the distance of a neighbour, separated by tabs, nearest first. With several
queries, the name of the query comes first.
"""


def add(commands):
    parser = commands.add_parser(
        "search", help="find the most similar crystals", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument(
        "query",
        type=Path,
        metavar="QUERY",
        help="structure file, or a folder, an archive or a table of several queries",
    )
    add_sources(parser)
    parser.add_argument(
        "-n",
        "--neighbors",
        type=number(int, 1),
        default=10,
        metavar="N",
        help="number of neighbours of each query (default: %(default)s)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write a table (.csv or .parquet) instead of lines"
    )
    parser.add_argument(
        "--vectors",
        type=Path,
        metavar="FILE",
        help="vectors of the sources, a .npy file of `skdim embed` with the same weights, which saves time",
    )
    add_weights(parser)
    add_device(parser)
    add_featurizing(parser, max_sites_default="that of the weights, 50")
    return parser


def run(args):
    if args.output is not None:
        check_table_path(args.output)
    check_sources([args.query])
    check_sources(args.sources)
    check_device(args.device)

    import numpy as np
    from sklearn.frozen import FrozenEstimator

    from ... import DeepInfoMaxEmbedder, NearestCrystals

    embedder = DeepInfoMaxEmbedder.from_pretrained(args.weights, device=args.device)
    featurizer = featurizer_of(args, embedder)
    with tempfile.TemporaryDirectory(prefix="skdim-search-") as folder:
        queries = crystals_of([args.query], Path(folder) / "query", featurizer, embedder.site_features_)
        if report(queries, None, reader_of([args.query])) == len(queries.X):
            raise ValueError(f"{args.query}: no query could be featurized")
        stored = crystals_of(args.sources, Path(folder) / "sources", featurizer, embedder.site_features_)
        n_failed = report(stored, None, reader_of(args.sources)) + len(queries.X.errors_)
        vectors = embedder.transform(stored.X) if args.vectors is None else _vectors(args.vectors, stored, embedder)
        nearest = NearestCrystals(embedder=FrozenEstimator(embedder)).fit(vectors)
        n_usable = len(stored.X) - len(stored.X.errors_)
        usable = np.flatnonzero(~queries.X.failed)
        distances, rows = nearest.kneighbors(queries.X[usable], min(args.neighbors, n_usable))
        if args.neighbors > n_usable:
            say(f"the sources have only {n_usable} crystals")
        table = _table(queries, usable, stored, distances, rows)
        if args.output is not None:
            write_table(table, args.output)
            say(f"{args.output}: {rows.shape[1]} neighbours of {len(usable)} crystals")
        else:
            _print(table, several=len(queries.X) > 1)
    return SOME_FAILED if n_failed else DONE


def _vectors(path, stored, embedder):
    import numpy as np

    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"{path} is not a .npy file of vectors ({error})") from error
    shape = len(stored.X), len(embedder.get_feature_names_out())
    if vectors.shape != shape:
        raise ValueError(
            f"{path} has the shape {vectors.shape}, and the sources need {shape}: it must hold their vectors, made by "
            "`skdim embed` with the same weights"
        )
    return vectors


def _table(queries, usable, stored, distances, rows):
    import numpy as np
    import pandas as pd

    n_neighbours = rows.shape[1]
    flat = rows.ravel()
    names = [stored.ids[row] for row in flat] if stored.has_names else flat
    return pd.DataFrame(
        {
            "query": np.repeat([queries.ids[row] for row in usable], n_neighbours),
            "id" if stored.has_names else "row": names,
            "formula": [stored.X.formula(row) for row in flat],
            "distance": distances.ravel(),
        }
    )


def _print(table, several):
    for query, name, formula, distance in table.itertuples(index=False):
        words = [printable(query)] if several else []
        print("\t".join([*words, printable(str(name)), formula, f"{distance:.4f}"]))
