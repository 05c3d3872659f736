"""From what the user names to featurized crystals with names, kept beside the output until the command is done."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import warnings
from typing import NamedTuple

from ._terminal import say

#: Structures that a kill may cost.
CHUNK = 1000
#: Failures, and remarks, that are listed on the terminal; a file beside the output, or in the store, has all.
_MOST_LISTED = 20


class Named(NamedTuple):
    """Crystals, and the name of each row: a file's or a material's, or its number."""

    X: object
    ids: list


@contextlib.contextmanager
def work_folder(output):
    """A hidden folder beside the output for what is done so far; it goes once the block has ended well.

    It also goes if nothing was done.
    """
    folder = output.with_name(f".{output.name}.work")
    try:
        yield folder
    except BaseException:
        if {path.name for path in folder.glob("*")} - {"run.json"}:
            raise
        shutil.rmtree(folder, ignore_errors=True)  # nothing is done yet
        raise
    shutil.rmtree(folder, ignore_errors=True)


def is_store(path):
    return (path / "header.json").is_file()


def check_sources(sources, args=None):
    """Open the sources, before anything takes time.

    Parameters
    ----------
    sources : list of Path
    args : Namespace, default=None
        Options of reading structures, which do not go with a store.

    Returns
    -------
    Source or None
        None for a store.

    Raises
    ------
    FileNotFoundError, ValueError
    """
    from .._structures.sources.open_source import open_sources

    stores = [path for path in sources if is_store(path)]
    if stores and len(sources) > 1:
        raise ValueError(f"{stores[0]} is a store of featurized crystals: give it alone")
    if not stores:
        return open_sources(sources)
    for option in ("max_sites", "disordered", "strict_cif"):
        if getattr(args, option, None) is not None:
            raise ValueError(
                f"--{option.replace('_', '-')} is for reading structures, and {stores[0]} is a store, of structures "
                "that were read already: leave it out, or featurize again"
            )
    return None


def reader_of(sources):
    """The command that has read the structures, if that is not the one that is run now."""
    return "featurize" if is_store(sources[0]) else None


def featurizer_of(args, embedder=None):
    """The featurizer that the options describe, with the settings that an embedder's crystals had."""
    from .. import SiteNetFeaturizer

    settings = {} if embedder is None else _settings(embedder.featurizer_settings_, embedder.site_features_)
    for name in ("max_sites", "disordered", "strict_cif"):
        if getattr(args, name) is not None:
            settings[name] = getattr(args, name)
    return SiteNetFeaturizer(**settings, n_jobs=args.jobs, on_error="warn", verbose=1)


def featurizer_like(X):
    """A featurizer that makes crystals like these; what fails keeps its row."""
    from .. import SiteNetFeaturizer

    return SiteNetFeaturizer(**_settings(X.settings, X.site_features), on_error="warn")


def _settings(settings, site_features):
    """Parameters of a featurizer from the settings and the site features of its crystals."""
    from .._chemistry.elements import OXIDATION_FEATURE

    names = [name for name in site_features if name != OXIDATION_FEATURE]
    oxidation = settings["oxidation_states"] if OXIDATION_FEATURE in site_features else None
    return {**settings, "oxidation_states": oxidation, "site_features": names}


def crystals_of(sources, work, featurizer):
    """Featurized crystals of some sources, or those of a store.

    Parameters
    ----------
    sources : list of Path
    work : Path
        Folder where the featurized crystals are kept: a run that was killed goes on there.
    featurizer : SiteNetFeaturizer

    Returns
    -------
    Named
        Memory-mapped.
    """
    source = check_sources(sources)
    if source is None:
        return _loaded(sources[0])
    store, run = work / "crystals", work / "run.json"
    # While the store is in the making, the library itself compares what it is made of.
    key = _key(sources, featurizer)
    if not store.exists():
        work.mkdir(parents=True, exist_ok=True)
        run.write_text(json.dumps(key), encoding="utf-8")
        featurize(featurizer, source, store)
    elif json.loads(run.read_text(encoding="utf-8")) != key:
        raise ValueError(
            f"{work} is what an interrupted run has left that had other structures or options: go on with what it "
            "began with, or remove that folder to begin anew"
        )
    else:
        say(f"the structures are featurized already, by an earlier run ({store})")
    return _loaded(store)


def _loaded(store):
    from .. import Crystals

    X = Crystals.load(store, mmap_mode="r")
    return Named(X, stored_ids(store, len(X)))


def elements_of(X):
    """Symbols of the elements in some crystals, lightest first."""
    import numpy as np

    from .._chemistry.elements import SYMBOLS

    return [SYMBOLS[number] for number in np.unique(X.numbers)]


def featurize(featurizer, source, store):
    """Featurize into the store, and say what was remarked; what fails is told by :func:`report`."""
    if store.with_name(f".{store.name}.partial").exists():
        say(f"going on with what an earlier run has featurized ({store.with_name(f'.{store.name}.partial')})")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* could not be featurized")
        warnings.filterwarnings("ignore", ".* were read with a remark")
        X = featurizer.transform_to_disk(source, store, chunk_size=CHUNK)
    _say_remarks(store)
    return X


def _say_remarks(store):
    import pandas as pd

    from .._structures.errors import StructureError

    remarks = pd.read_csv(store / "remarks.csv", dtype=str, keep_default_na=False, encoding_errors="surrogateescape")
    if not len(remarks):
        return
    say(f"{len(remarks)} structures were read with a remark:")
    for row, name, formula, text in remarks.head(_MOST_LISTED).itertuples(index=False):
        say(f"  {StructureError(row, formula, text, name)}")
    if len(remarks) > _MOST_LISTED:
        say(f"  ... and {len(remarks) - _MOST_LISTED} more: `skdim featurize` keeps all of them in STORE/remarks.csv")


def report(named, output, reader=None):
    """Name the rows that failed, on the terminal and in a file beside the output; returns how many.

    The file is ``<output>.failures.csv``. ``reader`` is the command whose options say how structures are read, if that
    is not this one.
    """
    errors = named.X.errors_
    if not errors:
        return 0
    say(f"{len(errors)} of {len(named.X)} structures could not be used:")
    for why in list(errors.values())[:_MOST_LISTED]:
        say(f"  {why}")
    if len(errors) > _MOST_LISTED:
        say(f"  ... and {len(errors) - _MOST_LISTED} more")
    said = " ".join(errors.values())
    for name, option in (("max_sites", "--max-sites N"), ("disordered='majority'", "--disordered majority")):
        if name in said:
            say(f"  (here {name} is the option {option}{f' of `skdim {reader}`' if reader else ''})")
    if output is not None:
        import pandas as pd

        file = output.with_name(f"{output.name}.failures.csv")
        failed = [(named.ids[row] or f"row {row}", _reason(why, named.ids[row])) for row, why in errors.items()]
        table = pd.DataFrame(failed, columns=["id", "reason"])
        table.to_csv(file, index=False)
        say(f"  all of them: {file}")
    return len(errors)


def _reason(why, name):
    """An error without the number and the name of its row, which the table has in a column."""
    return re.sub(rf"^row \d+(, {re.escape(name)})?(: | )", "", why)


def stored_ids(store, n_crystals):
    """Names of the rows of a store; their numbers where it has none."""
    import pandas as pd

    file = store / "ids.csv"
    if not file.is_file():
        return [str(row) for row in range(n_crystals)]
    names = pd.read_csv(file, dtype=str, keep_default_na=False, encoding_errors="surrogateescape")["id"].tolist()
    if len(names) != n_crystals:
        raise ValueError(f"{file} has {len(names)} names for {n_crystals} crystals: featurize again")
    return names


def _key(sources, featurizer):
    """What tells these files, as they are now, and these settings from others."""
    digest = hashlib.sha256()
    for path in sources:
        for file in sorted(path.rglob("*.[cC][iI][fF]")) if path.is_dir() else [path]:
            with contextlib.suppress(OSError):
                found = file.stat()
                digest.update(repr((str(file), found.st_size, found.st_mtime_ns)).encode(errors="surrogateescape"))
    settings = {k: v for k, v in featurizer.get_params().items() if k not in ("n_jobs", "verbose")}
    return {"files": digest.hexdigest(), "settings": repr(settings)}
