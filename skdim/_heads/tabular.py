"""Tabular foundation models as regressors, where their packages and weights are installed."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

#: Head -> class in the package of that name, and parameters that keep it from downloading.
_CLASSES = {"tabpfn": ("TabPFNRegressor", {}), "tabicl": ("TabICLRegressor", {"allow_auto_download": False})}


def tabular_regressor(name, random_state=None):
    """Make a regressor that was pre-trained on synthetic tables.

    Parameters
    ----------
    name : {"tabpfn", "tabicl"}
        Name of the package.
    random_state : int or None, default=None
        Seed of its ensemble; None takes the package's default.

    Returns
    -------
    estimator
        Its weights are read from the file that the environment variable SKDIM_TABPFN_WEIGHTS or SKDIM_TABICL_WEIGHTS
        names, when it is fitted. Nothing is downloaded.

    Raises
    ------
    ImportError
        If the package is not installed.
    ValueError
        If the variable does not name a file.
    """
    try:
        package = import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ImportError(
            f"head={name!r} needs the package {name}, which is not installed: pip install {name}"
        ) from error
    variable = f"SKDIM_{name.upper()}_WEIGHTS"
    path = os.environ.get(variable, "")
    if not Path(path).is_file():
        raise ValueError(
            f"head={name!r} needs the weights of a {name} regressor, which are not downloaded: set the environment "
            f"variable {variable} to the path of their file; got {path!r}"
        )
    kind, params = _CLASSES[name]
    if random_state is not None:
        params = {**params, "random_state": random_state}
    return getattr(package, kind)(model_path=path, **params)
