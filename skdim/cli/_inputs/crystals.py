"""Featurized crystals with names from the sources of a command, saved next to the output until the command is done."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import warnings
from typing import NamedTuple

from .._terminal import say

#: Structures that are featurized between two saves.
CHUNK = 1000
#: Number of failures, and of warnings, listed on the terminal; a file has all of them.
_MOST_LISTED = 20


class Named(NamedTuple):
    """Crystals, and what each row is called in tables: by its name (a file name or an id), or by its number."""

    X: object
    ids: list
    has_names: bool

    @property
    def names(self):
        """The names of the rows, None if they have none. The number of a row is never a name."""
        return self.ids if self.has_names else None


@contextlib.contextmanager
def work_folder(output):
    """A hidden folder next to the output for intermediate results.

    It is deleted when the block succeeds, or if it holds no results.
    """
    folder = output.with_name(f".{output.name}.work")
    try:
        yield folder
    except BaseException:
        if {path.name for path in folder.glob("*")} - {"run.json"}:
            raise
        shutil.rmtree(folder, ignore_errors=True)  # no results yet
        raise
    shutil.rmtree(folder, ignore_errors=True)


def is_store(path):
    return (path / "header.json").is_file()


def check_sources(sources, args=None):
    """Open the sources, before anything that takes time.

    Parameters
    ----------
    sources : list of Path
    args : Namespace, default=None
        Options for reading structures, which are refused with a store.

    Returns
    -------
    Source or None
        None for a store.

    Raises
    ------
    FileNotFoundError, ValueError
    """
    from ..._structures.sources.open_source import open_sources

    stores = [path for path in sources if is_store(path)]
    if stores and len(sources) > 1:
        raise ValueError(f"{stores[0]} is a store of featurized crystals: it cannot be combined with other sources")
    if not stores:
        return open_sources(sources)
    for option in ("max_sites", "disordered", "strict_cif"):
        if getattr(args, option, None) is not None:
            raise ValueError(
                f"--{option.replace('_', '-')} has no effect on the featurized structures of the store {stores[0]}: "
                "omit it, or featurize again"
            )
    return None


def reader_of(sources):
    """The command that read the structures, if it is not the current one."""
    return "featurize" if is_store(sources[0]) else None


def featurizer_of(args, embedder=None):
    """The featurizer of the options, by default with the settings that an embedder was trained with."""
    from ... import SiteNetFeaturizer

    settings = {} if embedder is None else featurizer_parameters(embedder.featurizer_settings_, embedder.site_features_)
    for name in ("max_sites", "disordered", "strict_cif"):
        if getattr(args, name) is not None:
            settings[name] = getattr(args, name)
    return SiteNetFeaturizer(**settings, n_jobs=args.jobs, on_error="warn", verbose=1)


def featurizer_like(X):
    """A featurizer with the settings of these crystals; rows that fail are kept."""
    from ... import SiteNetFeaturizer

    return SiteNetFeaturizer(**featurizer_parameters(X.settings, X.site_features), on_error="warn")


def featurizer_parameters(settings, site_features):
    """Parameters of the featurizer that made crystals with these settings and site features."""
    from ..._chemistry.elements import OXIDATION_FEATURE

    names = [name for name in site_features if name != OXIDATION_FEATURE]
    oxidation = settings["oxidation_states"] if OXIDATION_FEATURE in site_features else None
    return {**settings, "oxidation_states": oxidation, "site_features": names}


def crystals_of(sources, work, featurizer, site_features=None):
    """Featurized crystals of the sources, or those of a store.

    Parameters
    ----------
    sources : list of Path
    work : Path
        Folder of the featurized crystals, from which a killed run resumes.
    featurizer : SiteNetFeaturizer
    site_features : sequence of str, default=None
        Site features of the result, such as those of the weights that use it. None keeps those of the store.

    Returns
    -------
    Named
        Memory-mapped.
    """
    source = check_sources(sources)
    if source is None:
        return _loaded(sources[0], site_features)
    store, run = work / "crystals", work / "run.json"
    # While the store is incomplete, the library itself compares sources and settings.
    key = _key(sources, featurizer)
    if not store.exists():
        work.mkdir(parents=True, exist_ok=True)
        run.write_text(json.dumps(key), encoding="utf-8")
        featurize(featurizer, source, store)
    elif json.loads(run.read_text(encoding="utf-8")) != key:
        raise ValueError(
            f"{work} belongs to an interrupted run with other structures or options: run that command to resume it, or "
            "delete the folder to start again"
        )
    else:
        say(f"using the structures that an earlier run has featurized ({store})")
    return _loaded(store, site_features)


def _loaded(store, site_features):
    from ... import Crystals

    X = Crystals.load(store, mmap_mode="r")
    if site_features is not None:
        X = X.with_site_features(site_features)
    return Named(X, stored_ids(store, len(X)), has_names(store))


def elements_of(X):
    """Symbols of the elements in the crystals, by atomic number."""
    import numpy as np

    from ..._chemistry.elements import SYMBOLS

    return [SYMBOLS[number] for number in np.unique(X.numbers)]


def featurize(featurizer, source, store):
    """Featurize into the store and print the warnings; :func:`report` prints the failures."""
    if store.with_name(f".{store.name}.partial").exists():
        say(f"resuming an earlier run ({store.with_name(f'.{store.name}.partial')})")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* could not be featurized")
        warnings.filterwarnings("ignore", ".* were read with a warning")
        X = featurizer.transform_to_disk(source, store, chunk_size=CHUNK)
    _print_warnings(store)
    return X


def _print_warnings(store):
    import pandas as pd

    from ..._structures.errors import StructureError

    warned = pd.read_csv(store / "warnings.csv", dtype=str, keep_default_na=False, encoding_errors="surrogateescape")
    if not len(warned):
        return
    say(f"{len(warned)} structures were read with a warning:")
    for row, name, formula, text in warned.head(_MOST_LISTED).itertuples(index=False):
        say(f"  {StructureError(row, formula, text, name)}")
    if len(warned) > _MOST_LISTED:
        say(f"  ... and {len(warned) - _MOST_LISTED} more (`skdim featurize` saves all of them in STORE/warnings.csv)")


def report(named, output, reader=None):
    """List the rows that failed, on the terminal and in ``<output>.failures.csv``, and return their number.

    ``reader`` is the command that read the structures, if it is not the current one.
    """
    errors = named.X.errors_
    if not errors:
        return 0
    say(f"{len(errors)} of {len(named.X)} structures failed:")
    for why in list(errors.values())[:_MOST_LISTED]:
        say(f"  {why}")
    if len(errors) > _MOST_LISTED:
        say(f"  ... and {len(errors) - _MOST_LISTED} more")
    reasons = " ".join(errors.values())
    for name, option in (("max_sites", "--max-sites N"), ("disordered='majority'", "--disordered majority")):
        if name in reasons:
            say(f"  ({name} is the option {option}{f' of `skdim {reader}`' if reader else ''})")
    if output is not None:
        file = output.with_name(f"{output.name}.failures.csv")
        failures_table(named).to_csv(file, index=False)
        say(f"  see {file}")
    return len(errors)


def failures_table(named):
    """The rows that failed, as a DataFrame with the columns "id" and "reason"."""
    import pandas as pd

    errors = named.X.errors_
    failed = [(named.ids[row] or f"row {row}", _reason(why, named.ids[row])) for row, why in errors.items()]
    return pd.DataFrame(failed, columns=["id", "reason"])


def _reason(why, name):
    """An error without the number and the name of its row, which the table has in a column."""
    return re.sub(rf"^row \d+(, {re.escape(name)})?(: | )", "", why)


def has_names(store):
    """Whether the rows of a store have names."""
    return (store / "ids.csv").is_file()


def stored_ids(store, n_crystals):
    """Names of the rows of a store, or their numbers if it has no names."""
    import pandas as pd

    file = store / "ids.csv"
    if not has_names(store):
        return [str(row) for row in range(n_crystals)]
    names = pd.read_csv(file, dtype=str, keep_default_na=False, encoding_errors="surrogateescape")["id"].tolist()
    if len(names) != n_crystals:
        raise ValueError(f"{file} has {len(names)} names for {n_crystals} crystals: featurize again")
    return names


def _key(sources, featurizer):
    """Identifies the files in their present state, and the settings."""
    from ..._structures.sources.folders import walk
    from ..._structures.sources.skipped import Skipped

    digest = hashlib.sha256()
    for path in sources:
        for file in walk(path, Skipped("")) if path.is_dir() else [path]:
            with contextlib.suppress(OSError):
                stat = file.stat()
                digest.update(repr((str(file), stat.st_size, stat.st_mtime_ns)).encode(errors="surrogateescape"))
    settings = {k: v for k, v in featurizer.get_params().items() if k not in ("n_jobs", "verbose")}
    return {"files": digest.hexdigest(), "settings": repr(settings)}
