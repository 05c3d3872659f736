"""Draw a map of crystals by their vectors, coloured by each target: NAME-map.png.

The crystals are rows with split "test", whose formulas the weights were not trained on.
"""

import argparse
from pathlib import Path

import joblib

from skdim import DeepInfoMaxEmbedder
from skdim.plotting import EmbeddingDisplay

from . import data
from .targets import TARGETS


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.map",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, help="folder of the Parquet tables")
    parser.add_argument("table", help="name of the table, without .parquet")
    parser.add_argument("targets", nargs="+", help="columns to colour by")
    parser.add_argument("--weights", type=Path, help="folder of save_pretrained (default: those of the package)")
    parser.add_argument("--method", default="tsne", choices=["tsne", "umap", "pca"])
    parser.add_argument("--n-crystals", type=int, default=4000)
    parser.add_argument("--jobs", type=int, default=joblib.cpu_count(), help="processes that featurize")
    parser.add_argument("--work", type=Path, default=Path("accuracy_work"), help="folder of the featurized crystals")
    parser.add_argument("--output", type=Path, default=Path("docs/accuracy"), help="folder of the figure")
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
