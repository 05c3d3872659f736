"""Fingerprints of estimators and data: equal for equal content, in every process.

A hash of the pickle would not be: pickles depend on object identity, dates, durations and caches. For example, the
pickle of a net changes when it is saved and loaded, and that of a structure when its volume is computed. This module
therefore selects the relevant content of each type.
"""

from __future__ import annotations

import copyreg
import hashlib
import sys
import types

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

_PACKAGE = __name__.partition(".")[0]
#: Parameters that do not change results, by the conventions of scikit-learn and this package.
IGNORED = frozenset({"n_jobs", "verbose", "memory", "checkpoint"})
#: Parameters that do not change the results of a fitted estimator, and the attribute that records its origin.
IGNORED_IF_FITTED = frozenset({"callbacks", "device", "warm_start", "pretrained_info_"})


def fingerprint(value):
    """Fingerprint of an object, 32 hexadecimal digits.

    It depends on the parts of an estimator that ``clone`` keeps: its class and its parameters, except those in
    ``IGNORED``. For a ``FrozenEstimator``, which ``clone`` does not reset, it depends on the fitted attributes as well,
    except durations; for a torch module on its weights and settings; for a skorch net on its modules. Objects of skdim
    are identified by the package and their name, not by the file that defines them. A class can define
    ``_fingerprint_parts`` to list its relevant content.

    Raises
    ------
    TypeError
        If the object contains something without comparable content, such as an open file.
    """
    return _digest(value, False, ()).hex()[:32]


def _digest(value, fitted, parents):
    """sha256 of a value.

    ``fitted``: include the fitted attributes of estimators. ``parents``: ids of the objects that contain the value.
    """
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return _join(type(value).__name__, repr(value).encode())
    if isinstance(value, np.generic) and not isinstance(value, np.void):
        return _digest(value.item(), fitted, parents)
    if id(value) in parents:
        return _join("cycle")
    parents = (*parents, id(value))

    def parts(name, values):
        return _join(name, *(_digest(v, fitted, parents) for v in values))

    def table(name, items):
        # Sorted by digest, because keys may not be comparable.
        return _join(name, *sorted(_digest(k, fitted, parents) + _digest(v, fitted, parents) for k, v in items))

    kind = type(value)
    if kind in (list, tuple):
        return parts("sequence", value)  # JSON does not distinguish tuples from lists
    if kind in (set, frozenset):
        return _join(kind.__name__, *sorted(_digest(v, fitted, parents) for v in value))
    if kind is dict:
        return table("dict", value.items())
    if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType | types.CodeType):
        return parts(kind.__name__, _name_or_code(value))
    if isinstance(value, np.ndarray):
        return parts("array", _array_parts(value))
    if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
        return parts(kind.__name__, _pandas_parts(value))
    if (content := _torch_parts(value)) is not None or (content := _structure_parts(value)) is not None:
        return parts(_name(kind), content)
    if isinstance(value, FrozenEstimator):
        return _join("frozen", _digest(value.estimator, True, parents))
    if hasattr(kind, "_fingerprint_parts"):
        return parts(_name(kind), value._fingerprint_parts())
    if hasattr(value, "get_params"):
        return table(_name(kind), _estimator_items(value, fitted))
    return parts(_name(kind), _reduced_parts(value))


def _join(name, *digests):
    joined = hashlib.sha256(name.encode() + b"\0")
    for digest in digests:
        joined.update(len(digest).to_bytes(8, "big") + digest)
    return joined.digest()


def _name(kind):
    return f"{_public_module(kind.__module__)}.{kind.__qualname__}"


def _public_module(module):
    """Module of a name; "skdim" for all of skdim, so that its files can be moved."""
    return _PACKAGE if isinstance(module, str) and module.partition(".")[0] == _PACKAGE else module


def _name_or_code(value):
    """Name of a class or function; the code too, if it is defined in a script or has no importable name."""
    if isinstance(value, types.CodeType):
        return [value.co_code, value.co_consts, value.co_names]
    owner = getattr(value, "__self__", None)
    owner = None if isinstance(owner, types.ModuleType) else owner
    content = [_public_module(value.__module__), value.__qualname__, owner]
    if isinstance(value, types.FunctionType) and (value.__module__ == "__main__" or "<" in value.__qualname__):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        content += [value.__code__, value.__defaults__, value.__kwdefaults__, cells]
    return content


def _array_parts(array):
    array = np.asarray(array)
    if array.dtype.names:
        # Field by field, because the padding between fields is arbitrary.
        return [array.shape, {name: array[name] for name in array.dtype.names}]
    if array.dtype.hasobject:
        return [array.shape, array.ravel().tolist()]
    return [array.dtype.str, array.shape, array.tobytes()]


def _pandas_parts(value):
    if isinstance(value, pd.DataFrame):
        return [value.columns, value.index, [value.iloc[:, k].to_numpy() for k in range(value.shape[1])]]
    if isinstance(value, pd.Series):
        return [value.name, value.index, value.to_numpy()]
    return [list(value.names), value.to_numpy()]


def _torch_parts(value):
    """Content of a tensor, of a module (weights and settings) or of a skorch net (its modules); None for other types.

    The history and callbacks of a net contain durations, and its optimiser does not change predictions.
    """
    torch, skorch = sys.modules.get("torch"), sys.modules.get("skorch")
    if torch is None:
        return None
    if isinstance(value, torch.Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1)
        return [str(value.dtype), tuple(value.shape), flat.view(torch.uint8).numpy() if len(flat) else None]
    if isinstance(value, torch.nn.Module):
        inner = vars(torch.nn.Module()).keys() - {"_parameters", "_buffers", "_modules"}  # hooks, and training mode
        return [{name: part for name, part in vars(value).items() if name not in inner}]
    if skorch is not None and isinstance(value, skorch.history.History):
        return []
    if skorch is not None and isinstance(value, skorch.NeuralNet) and value.initialized_:
        return [value.module_, value.criterion_]
    return None


def _structure_parts(value):
    """Content of a structure of pymatgen or ASE, without caches and calculators; None for other types."""
    core, atoms = sys.modules.get("pymatgen.core"), sys.modules.get("ase.atoms")
    if atoms is not None and isinstance(value, atoms.Atoms):
        return [value.cell.array, value.pbc, value.arrays, value.info]
    if core is None or not isinstance(value, core.IStructure):
        return None
    species = [[(str(one), float(share)) for one, share in site.species.items()] for site in value.sites]
    properties = [dict(site.properties) for site in value.sites if site.properties]
    return [value.lattice.matrix, list(value.lattice.pbc), species, value.frac_coords, properties]


def _estimator_items(estimator, fitted):
    params = estimator.get_params(deep=False)
    ignored = IGNORED | IGNORED_IF_FITTED if fitted else IGNORED
    items = [(name, part) for name, part in params.items() if name not in ignored]
    state = vars(estimator) if hasattr(estimator, "__dict__") else {}
    if not fitted:
        # clone keeps the output container that set_output has set.
        return [*items, *((name, state[name]) for name in ["_sklearn_output_config"] if name in state)]
    attributes = [name for name in state if name not in params and name not in ignored and _is_not_a_duration(name)]
    return items + [(name, _without_times(state[name])) for name in attributes]


def _without_times(value):
    """Drop durations from a dict, such as ``cv_results_`` of a search."""
    return {k: v for k, v in value.items() if _is_not_a_duration(k)} if type(value) is dict else value


def _is_not_a_duration(name):
    return not (isinstance(name, str) and name.endswith(("_time", "_time_")))


def _reduced_parts(value):
    """The parts from which pickle would rebuild an object."""
    reduce = copyreg.dispatch_table.get(type(value))
    try:
        reduced = reduce(value) if reduce else value.__reduce_ex__(4)
    except Exception as error:
        raise TypeError(f"a {_name(type(value))} has no comparable content ({error})") from error
    if isinstance(reduced, str):
        return [reduced]
    make, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    return [make, arguments, state, *(None if part is None else list(part) for part in (items, pairs))]
