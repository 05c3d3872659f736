"""Draw a map of crystals by their vectors, coloured by each target: NAME-map.png.

The crystals are rows with split "test", whose formulas the weights were not trained on.
"""

from pathlib import Path

from skdim import DeepInfoMaxEmbedder
from skdim.plotting import EmbeddingDisplay

from . import data
from .options import add_data, add_output, make_parser
from .targets import TARGETS


def main(argv=None):
    parser = make_parser(".map", __doc__)
    add_data(parser)
    parser.add_argument("table", help="name of the table, without .parquet")
    parser.add_argument("targets", nargs="+", metavar="target", help="columns of the table to colour by")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FOLDER",
        help="folder that save_pretrained has written (default: the weights that skdim includes)",
    )
    parser.add_argument(
        "--method", default="tsne", choices=["tsne", "umap", "pca"], help="projection to two dimensions (%(default)s)"
    )
    parser.add_argument(
        "--n-crystals", type=int, default=4000, metavar="N", help="maximum number of crystals to show (%(default)s)"
    )
    add_output(parser, "figure")
    args = parser.parse_args(argv)
    table = data.load(args.data, args.table, args.work, args.jobs, n_test=args.n_crystals)
    units = {target.column: target.unit for target in TARGETS.values()}
    display = EmbeddingDisplay.from_estimator(
        DeepInfoMaxEmbedder.from_pretrained(args.weights),
        table.X[table.test],
        {name.replace("_", " "): table.frame[name].to_numpy()[table.test] for name in args.targets},
        units={name.replace("_", " "): units.get(name, "") for name in args.targets},
        method=args.method,
        random_state=0,
    )
    path = args.output / f"{table.name}-map.png"
    args.output.mkdir(parents=True, exist_ok=True)
    display.figure_.savefig(path, dpi=150)
    print(path)


if __name__ == "__main__":
    main()
