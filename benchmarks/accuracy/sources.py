"""Matrices of features from several sources, each computed once for all models of a table."""

import numpy as np
import pandas as pd

from skdim import CompositionStatistics, DensityStatistics, OxidationStatistics, StructureStatistics
from skdim.model_selection._arms import untrained_copy

from . import data

STATISTICS = {
    "composition": CompositionStatistics,
    "density": DensityStatistics,
    "oxidation": OxidationStatistics,
    "statistics": StructureStatistics,
}
#: Source of the properties that a set of weights knows: the name of the set with this ending.
PREDICTED = ", predicted properties"


class Sources:
    """Features of the rows of a table, by the name of their source.

    Sources are "composition", "density", "oxidation", "statistics", "MLIP", "untrained" (the first set of weights
    before training), the names of the sets of weights, and "NAME, predicted properties" for sets that know properties.

    Parameters
    ----------
    table : Table
    wanted : ndarray of int
        Rows whose MLIP features are computed; all others are NaN.
    weights : list of WeightSet
    mlip : transformer of structures, or None
    mlip_folder : Path or None
        Folder with files NAME.parquet of MLIP features computed before; "row" is the row in the file of the table.
    work : Path
    jobs : int
    """

    def __init__(self, table, wanted, weights, mlip, mlip_folder, work, jobs):
        self.table, self.wanted = table, wanted
        self.weights = {each.name: each for each in weights}
        self.mlip, self.mlip_folder = mlip, mlip_folder
        self.work, self.jobs = work, jobs
        self._matrices = {}

    def matrix(self, name, seed):
        """Features of one source, or None if it has no weights for this seed."""
        key = name, seed if name.removesuffix(PREDICTED) in (*self.weights, "untrained") else None
        if key not in self._matrices:
            self._matrices[key] = self._computed(name, seed)
        return self._matrices[key]

    def join(self, names, seed):
        """Features of several sources side by side, and the columns of each: (matrix, dict of str to slice).

        None if one of them has no weights for this seed.
        """
        parts = [self.matrix(name, seed) for name in names]
        if any(part is None for part in parts):
            return None
        ends = np.cumsum([part.shape[1] for part in parts]).tolist()
        starts = [0, *ends[:-1]]
        return np.hstack(parts), {n: slice(a, b) for n, a, b in zip(names, starts, ends, strict=True)}

    def _computed(self, name, seed):
        if name == "MLIP":
            return self._mlip()
        if name in STATISTICS:
            return self._cached(name, STATISTICS[name]().transform)
        weights = (
            next(iter(self.weights.values())) if name == "untrained" else self.weights[name.removesuffix(PREDICTED)]
        )
        embedder = weights.embedder(seed)
        if embedder is None:
            return None
        if name == "untrained":
            return self._cached(f"untrained-{seed}-{weights.digests[seed]}", untrained_copy(embedder, seed).transform)
        if name.endswith(PREDICTED):
            return self._cached(f"predicted-{weights.digests[seed]}", embedder.predict_properties)
        return self._cached(f"vectors-{weights.digests[seed]}", embedder.transform)

    def _cached(self, key, transform):
        """Features of all rows; of rows that failed to featurize NaN.

        Those of all, because vectors differ in the last digits if they are computed with other rows.
        """
        path = self.work / "features" / f"{self.table.key}-{key}.npy"
        if not path.exists():
            rows = np.flatnonzero(~self.table.X.failed)
            values = np.asarray(transform(self.table.X[rows]), dtype=np.float32)
            matrix = np.full((len(self.table.X), values.shape[1]), np.nan, dtype=np.float32)
            matrix[rows] = values
            path.parent.mkdir(parents=True, exist_ok=True)
            half = path.with_suffix(".part.npy")
            np.save(half, matrix)
            half.replace(path)
        return np.load(path, allow_pickle=False)

    def _mlip(self):
        """Features from the file, and of wanted rows that it lacks computed."""
        matrix = np.full((len(self.table.X), len(self.mlip.get_feature_names_out())), np.nan, dtype=np.float32)
        missing = self.wanted
        file = None if self.mlip_folder is None else self.mlip_folder / f"{self.table.name}.parquet"
        if file is not None and file.exists():
            frame = pd.read_parquet(file).set_index("row")[list(self.mlip.get_feature_names_out())]
            there = np.isin(self.table.file_rows[self.wanted], frame.index)
            rows, missing = self.wanted[there], self.wanted[~there]
            matrix[rows] = frame.loc[self.table.file_rows[rows]].to_numpy()
        if len(missing):
            new = data.features_of(self.table, missing, "MLIP", self.mlip, self.work, self.jobs)
            matrix[missing] = new[missing]
        return matrix


def as_frame(matrix, blocks):
    """DataFrame with columns SOURCE__NUMBER, from which regressors find the blocks."""
    names = [f"{name}__{k}" for name, columns in blocks.items() for k in range(columns.stop - columns.start)]
    return pd.DataFrame(matrix, columns=names)


def take(X, rows):
    """Rows of an array, DataFrame or Crystals."""
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]
