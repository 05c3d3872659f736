"""A fitted model as one file: .skops, which runs no code when it is loaded, or .joblib, which may."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import joblib

from .. import trusted_types
from .._shared.files import as_json, refuse_existing, replaced_file
from .._shared.headers import FileFormat

#: The member of a .skops file, which is a zip file, that says in plain words what it holds.
_ABOUT = "skdim.json"
FORMAT = FileFormat("skdim.model", 1, "a model that skdim fit wrote", "fit the model again")
_MOST_BYTES = 10_000_000


def check_model_path(path):
    """Check that a new model file may be written there.

    Raises
    ------
    FileExistsError, ImportError, ValueError
        If it exists, needs what is not installed, or ends otherwise.
    """
    path = Path(path)
    if path.suffix not in (".skops", ".joblib"):
        raise ValueError(f"{path} must end in .skops (loading it runs no code) or .joblib (a pickle)")
    refuse_existing(path)
    if path.suffix == ".skops":
        _skops()


def save_model(model, path, about):
    """Write a fitted model to the new file ``path``, which appears once it is complete.

    Parameters
    ----------
    model : estimator
    path : str or Path
        Ends in ".skops" or ".joblib".
    about : dict
        What should be known of it, in values that JSON can hold; becomes its attribute ``skdim_info_``.
    """
    check_model_path(path)
    model.skdim_info_ = as_json(about)
    with replaced_file(path) as file:
        if Path(path).suffix == ".joblib":
            joblib.dump(model, file)
            return
        _skops().dump(model, file)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(_ABOUT, json.dumps({**FORMAT.header(), **model.skdim_info_}, indent=1))


def load_model(path, *, trust=False):
    """Load what :func:`save_model` wrote.

    Parameters
    ----------
    path : str or Path
    trust : bool, default=False
        Load a .joblib file as well, which runs whatever code it holds.

    Returns
    -------
    estimator

    Raises
    ------
    FileNotFoundError, ImportError, ValueError
        If there is no such file, skops is missing, it is damaged or of another kind, holds types that skdim's models
        do not have, or is a pickle and not trusted.
    """
    path = Path(path)
    if path.suffix != ".joblib":
        describe_model(path)  # says clearly what is wrong with it
        skops = _skops()
        try:
            found = set(skops.get_untrusted_types(file=path))
        except Exception as error:
            raise ValueError(f"{path} is damaged ({error})") from error
        if unknown := sorted(found.difference(trusted_types())):
            raise ValueError(f"{path} was not loaded: it holds {', '.join(unknown)}, which no model of skdim does")
    elif not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    elif not trust:
        raise ValueError(f"{path} was not loaded: it is a pickle, and loading one runs whatever code it holds")
    try:
        model = joblib.load(path) if path.suffix == ".joblib" else skops.load(path, trusted=sorted(found))
    except Exception as error:
        raise ValueError(f"{path} is damaged, or was written by other versions ({error})") from error
    if not hasattr(model, "skdim_info_"):
        raise ValueError(f"{path} holds a {type(model).__name__} that skdim fit did not write")
    return model


def describe_model(path):
    """What a .skops file says of itself, a dict; nothing of it is loaded.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is none that :func:`save_model` wrote.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_ABOUT).file_size > _MOST_BYTES:
                raise ValueError(f"its {_ABOUT} is too large")
            about = archive.read(_ABOUT)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not {FORMAT.description}, or damaged ({error})") from error
    return FORMAT.parse(about, path)


def _skops():
    try:
        import skops.io
    except ImportError as error:
        raise ImportError(
            'models that load without running code (.skops) need skops: pip install "skdim-crystals[skops]"'
        ) from error
    return skops.io
