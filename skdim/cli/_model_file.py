"""A fitted model as one file: .skops, which never runs code when it is loaded, or .joblib, which can."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import joblib

from .. import trusted_types
from .._shared.files import as_json, refuse_existing, replaced_file
from .._shared.headers import FileFormat

#: Member of a .skops file, which is a zip file, that describes the model as JSON.
_ABOUT = "skdim.json"
FORMAT = FileFormat("skdim.model", 1, "a model written by skdim fit", "fit the model again")
_MOST_BYTES = 10_000_000


def check_model_path(path):
    """Check that a new model file can be written to the path.

    Raises
    ------
    FileExistsError, ImportError, ValueError
        If it exists, needs skops, which is not installed, or has another suffix.
    """
    path = Path(path)
    if path.suffix not in (".skops", ".joblib"):
        raise ValueError(f"{path} must end in .skops (never runs code when loaded) or .joblib (a pickle)")
    refuse_existing(path)
    if path.suffix == ".skops":
        _skops()


def save_model(model, path, about):
    """Write a fitted model to the new file ``path``, atomically.

    Parameters
    ----------
    model : estimator
    path : str or Path
        Ends in ".skops" or ".joblib".
    about : dict
        Description in values that JSON can hold; also becomes the attribute ``skdim_info_`` of the model.
    """
    check_model_path(path)
    model.skdim_info_ = as_json(about)
    with replaced_file(path) as file:
        if Path(path).suffix == ".joblib":
            joblib.dump(model, file)
            return
        _skops().dump(model, file, compression=zipfile.ZIP_DEFLATED)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(_ABOUT, json.dumps({**FORMAT.header(), **model.skdim_info_}, indent=1))


def load_model(path, *, trust=False):
    """Load what :func:`save_model` wrote.

    Parameters
    ----------
    path : str or Path
    trust : bool, default=False
        Load a .joblib file too, which can run any code.

    Returns
    -------
    estimator

    Raises
    ------
    FileNotFoundError, ImportError, ValueError
        If the file does not exist, skops is not installed, the file is damaged or of another kind, holds types outside
        of :func:`skdim.trusted_types`, or is a pickle and not trusted.
    """
    path = Path(path)
    if path.suffix != ".joblib":
        describe_model(path)  # raises clear errors
        skops = _skops()
        try:
            types = set(skops.get_untrusted_types(file=path))
        except Exception as error:
            raise ValueError(f"{path} is damaged ({error})") from error
        if unknown := sorted(types.difference(trusted_types())):
            raise ValueError(f"{path} was not loaded: it holds {', '.join(unknown)}, which no model of skdim contains")
    elif not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    elif not trust:
        raise ValueError(f"{path} was not loaded: it is a pickle, and loading a pickle can run any code")
    try:
        model = joblib.load(path) if path.suffix == ".joblib" else skops.load(path, trusted=sorted(types))
    except Exception as error:
        raise ValueError(f"{path} is damaged, or was written with other versions ({error})") from error
    if not hasattr(model, "skdim_info_"):
        raise ValueError(f"{path} holds a {type(model).__name__} that was not written by skdim fit")
    return model


def describe_model(path):
    """Return the description in a .skops file, a dict, without loading the model.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file does not exist, or was not written by :func:`save_model`.
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
        raise ImportError('.skops files need skops: pip install "skdim-crystals[skops]"') from error
    return skops.io
