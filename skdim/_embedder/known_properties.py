"""Known properties of the crystals of a pre-training set: names, checks and standardization."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.utils import check_array, check_consistent_length

#: Quantiles to which values are clipped before mean and standard deviation are computed.
_QUANTILES = (0.005, 0.995)


@dataclass(frozen=True)
class PropertyTable:
    """Known properties of crystals, standardized column by column.

    Parameters
    ----------
    names : tuple of str
    values : Tensor of float32 of shape (n_crystals, n_properties)
        Standardized; NaN where unknown.
    mean, scale : Tensor of float32 of shape (n_properties,)
        In the units of the properties.
    """

    names: tuple
    values: torch.Tensor
    mean: torch.Tensor
    scale: torch.Tensor

    def standardized_by(self, mean, scale):
        """The same properties, standardized by another mean and scale."""
        mean, scale = mean.cpu(), scale.cpu()
        return PropertyTable(self.names, (self.values * self.scale + self.mean - mean) / scale, mean, scale)


def property_table(Y, crystals, rows):
    """Check known properties and standardize them.

    Parameters
    ----------
    Y : array-like or DataFrame of shape (n_crystals,) or (n_crystals, n_properties)
        NaN where unknown. The names of a DataFrame's columns, or of a Series, are kept.
    crystals : Crystals of shape (n_crystals,)
    rows : ndarray of int
        Rows for training, which determine mean and standard deviation.

    Returns
    -------
    PropertyTable

    Raises
    ------
    ValueError
        If the lengths differ, a value is infinite, names are not unique, or a property has fewer than two different
        known values in the training rows.
    """
    if Y is None:
        raise ValueError("property_weight is positive, but the properties Y are None: pass fit(X, Y)")
    names = getattr(Y, "columns", None)
    if names is not None and len(set(names)) < len(names):
        raise ValueError(f"Y has several columns of one name: {list(names)}. Rename them")
    values = check_array(Y, dtype=np.float64, ensure_2d=False, ensure_all_finite="allow-nan", input_name="Y")
    if values.ndim == 1:
        values = values[:, None]
        names = [Y.name] if getattr(Y, "name", None) is not None else None
    names = [f"property{k}" for k in range(values.shape[1])] if names is None else [str(name) for name in names]
    check_consistent_length(crystals, values)
    training = values[rows]
    with np.errstate(invalid="ignore"):
        few = [
            name
            for name, column in zip(names, training.T, strict=True)
            if len(np.unique(column[np.isfinite(column)])) < 2
        ]
    if few:
        raise ValueError(
            f"the properties {few} have fewer than two different known values in the training crystals: remove these "
            "columns"
        )
    # Outliers would make all other values look alike.
    low, high = np.nanquantile(training, _QUANTILES, axis=0)
    clipped = np.clip(training, low, high)
    mean, scale = np.nanmean(clipped, axis=0), np.nanstd(clipped, axis=0)
    rare = scale == 0  # different values in less than a hundredth of the rows
    scale[rare] = np.nanstd(training[:, rare], axis=0)
    return PropertyTable(
        tuple(names), *(torch.from_numpy(a.astype(np.float32)) for a in ((values - mean) / scale, mean, scale))
    )
