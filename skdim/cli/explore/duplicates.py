"""``skdim duplicates``: near-duplicates in a collection of crystals."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .._inputs.crystals import check_sources, crystals_of, featurizer_of, is_store, reader_of, report
from .._tables import check_table_path, write_table
from .._terminal import DONE, SOME_FAILED, add_featurizing, add_sources, number, printable, say

_DESCRIPTION = """\
List the crystals of a collection that occur more than once: near-duplicates have one formula and nearly the same
structure, up to the volume. Structures in files are compared by pymatgen's StructureMatcher. A store of `skdim
featurize` holds distances only: without structures, near-duplicates cannot be distinguished from many polymorphs.
"""
_EPILOG = """\
examples:
  skdim duplicates my_cifs/
  skdim duplicates crystals --tolerance 0.01    in a store of `skdim featurize`
  skdim duplicates table.csv -o groups.csv      the group of every crystal

Each line has the number of a group, the name of a crystal and its formula, separated by tabs. The column group of the
table keeps near-duplicates together in a split, as groups of scikit-learn's GroupKFold.
"""


def add(commands):
    parser = commands.add_parser(
        "duplicates", help="list crystals that occur more than once", description=_DESCRIPTION, epilog=_EPILOG
    )
    add_sources(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write a table (.csv or .parquet) of all crystals with their groups instead of lines",
    )
    parser.add_argument(
        "--tolerance",
        type=number(float, 0),
        default=0.1,
        metavar="X",
        help="largest relative difference of distances between near-duplicates (default: %(default)s)",
    )
    add_featurizing(parser, max_sites_default="50")
    return parser


def run(args):
    if args.output is not None:
        check_table_path(args.output)
    source = check_sources(args.sources, args)

    from ..._similarity.duplicates import candidate_pairs, connected_groups, same_structure

    with tempfile.TemporaryDirectory(prefix="skdim-duplicates-") as folder:
        named = crystals_of(args.sources, Path(folder) / "crystals", featurizer_of(args))
        n_failed = report(named, None, reader_of(args.sources))
        pairs = candidate_pairs(named.X, args.tolerance)
        same = None
        if not is_store(args.sources[0]):
            structures = _structures(source, {row for *rows, _ in pairs for row in rows})
            same = same_structure(structures.__getitem__)
        groups = connected_groups(len(named.X), pairs, same)
        table = _table(named, groups)
        repeated = table["group"].duplicated(keep=False)
        if args.output is not None:
            write_table(table, args.output)
        else:
            for group, name, formula in table[repeated].sort_values("group", kind="stable").itertuples(index=False):
                print(f"{group}\t{printable(str(name))}\t{formula}")
        n_groups = table["group"][repeated].nunique()
        say(f"{int(repeated.sum())} of {len(named.X)} crystals are near-duplicates, in {n_groups} groups")
    return SOME_FAILED if n_failed else DONE


def _structures(source, rows):
    """The structures of some rows, by row."""
    return {row: raw for row, (_, raw) in enumerate(source.read()) if row in rows}


def _table(named, groups):
    import pandas as pd

    return pd.DataFrame({"group": groups, "id" if named.has_names else "row": named.ids, "formula": named.X.formulas})
