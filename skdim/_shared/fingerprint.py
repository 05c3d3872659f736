"""Fingerprints of estimators and data: equal for equal content, in every process.

A hash of an object's pickle is not that. Pickles tell whether two equal parts are one object, hold dates and durations,
and whatever a library has cached since: a net's differs after it was saved and loaded, a structure's after its volume
was asked for. So what counts is picked out here, kind by kind.
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
#: Parameters that say how something is computed, by scikit-learn's conventions and this package's, and not what.
HOW = frozenset({"n_jobs", "verbose", "memory", "checkpoint"})
#: Parameters that no longer matter once an estimator is fitted, and the attribute that says where it was loaded from.
NO_LONGER = frozenset({"callbacks", "device", "warm_start", "pretrained_info_"})


def fingerprint(value):
    """Fingerprint of anything, 32 hexadecimal digits.

    An estimator counts as what ``clone`` keeps of it: its class and parameters, but for those in ``HOW``. A
    ``FrozenEstimator``, which ``clone`` leaves as it is, counts with its fitted values, except durations. Of a torch
    module the weights and settings count, of a skorch net its modules.

    Raises
    ------
    TypeError
        If the value holds something that cannot be told from its like, such as an open file.
    """
    return _digest(value, False, ()).hex()[:32]


def _digest(value, fitted, above):
    """sha256 of one value; ``fitted`` says whether an estimator's fitted values count, ``above`` what it is part of."""
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return _join(type(value).__name__, repr(value).encode())
    if isinstance(value, np.generic) and not isinstance(value, np.void):
        return _digest(value.item(), fitted, above)
    if id(value) in above:
        return _join("cycle")
    above = (*above, id(value))

    def parts(name, values):
        return _join(name, *(_digest(v, fitted, above) for v in values))

    def table(name, items):
        # In the order of the keys' digests: keys need not be comparable.
        return _join(name, *sorted(_digest(k, fitted, above) + _digest(v, fitted, above) for k, v in items))

    kind = type(value)
    if kind in (list, tuple):
        return parts("sequence", value)  # a parameter that was saved as JSON comes back as a list
    if kind in (set, frozenset):
        return _join(kind.__name__, *sorted(_digest(v, fitted, above) for v in value))
    if kind is dict:
        return table("dict", value.items())
    if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType | types.CodeType):
        return parts(kind.__name__, _name_or_code(value))
    if isinstance(value, np.ndarray):
        return parts("array", _array_parts(value))
    if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
        return parts(kind.__name__, _pandas_parts(value))
    if (found := _torch_parts(value)) is not None or (found := _structure_parts(value)) is not None:
        return parts(_name(kind), found)
    if isinstance(value, FrozenEstimator):
        return _join("frozen", _digest(value.estimator, True, above))
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
    """The module that a name is imported from: that of skdim is the package, whose files may be moved at any time."""
    return _PACKAGE if isinstance(module, str) and module.partition(".")[0] == _PACKAGE else module


def _name_or_code(value):
    """A class or function of a library is known by its name; one of a script, or without a name, by its code too."""
    if isinstance(value, types.CodeType):
        return [value.co_code, value.co_consts, value.co_names]
    owner = getattr(value, "__self__", None)
    owner = None if isinstance(owner, types.ModuleType) else owner
    found = [_public_module(value.__module__), value.__qualname__, owner]
    if isinstance(value, types.FunctionType) and (value.__module__ == "__main__" or "<" in value.__qualname__):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        found += [value.__code__, value.__defaults__, value.__kwdefaults__, cells]
    return found


def _array_parts(array):
    array = np.asarray(array)
    if array.dtype.names:
        # Field by field: what lies between the fields is left over from whatever was in memory before.
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
    """Of a tensor its numbers, of a module its weights and settings, of a net its modules; else None.

    A net's history and callbacks hold durations, and its optimiser has no say any more.
    """
    torch, skorch = sys.modules.get("torch"), sys.modules.get("skorch")
    if torch is None:
        return None
    if isinstance(value, torch.Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1)
        return [str(value.dtype), tuple(value.shape), flat.view(torch.uint8).numpy() if len(flat) else None]
    if isinstance(value, torch.nn.Module):
        inner = vars(torch.nn.Module()).keys() - {"_parameters", "_buffers", "_modules"}  # hooks, and the mode
        return [{name: part for name, part in vars(value).items() if name not in inner}]
    if skorch is not None and isinstance(value, skorch.history.History):
        return []
    if skorch is not None and isinstance(value, skorch.NeuralNet) and value.initialized_:
        return [value.module_, value.criterion_]
    return None


def _structure_parts(value):
    """What a crystal of pymatgen or ASE holds, without what it has cached or its calculator; else None."""
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
    without = HOW | NO_LONGER if fitted else HOW
    items = [(name, part) for name, part in params.items() if name not in without]
    state = vars(estimator) if hasattr(estimator, "__dict__") else {}
    if not fitted:
        # clone keeps the container that set_output has asked for.
        return [*items, *((name, state[name]) for name in ["_sklearn_output_config"] if name in state)]
    learnt = [name for name in state if name not in params and name not in without and _lasts(name)]
    return items + [(name, _without_times(state[name])) for name in learnt]


def _without_times(value):
    """A search's results name durations in a dict."""
    return {k: v for k, v in value.items() if _lasts(k)} if type(value) is dict else value


def _lasts(name):
    return not (isinstance(name, str) and name.endswith(("_time", "_time_")))


def _reduced_parts(value):
    """What pickle would make an object of."""
    reduce = copyreg.dispatch_table.get(type(value))
    try:
        found = reduce(value) if reduce else value.__reduce_ex__(4)
    except Exception as error:
        raise TypeError(f"a {_name(type(value))} has no content that could be compared ({error})") from error
    if isinstance(found, str):
        return [found]
    make, arguments, state, items, pairs = (*found, None, None, None)[:5]
    return [make, arguments, state, *(None if part is None else list(part) for part in (items, pairs))]
