"""Sets of pre-trained weights, and which formulas they have not seen."""

import hashlib
import shlex
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path

from skdim import DeepInfoMaxEmbedder


@dataclass(frozen=True)
class WeightSet:
    """Weights of one recipe, trained with different seeds: one folder of ``save_pretrained`` per seed."""

    name: str
    folders: tuple

    def __len__(self):
        return len(self.folders)

    def embedder(self, seed):
        """Fitted DeepInfoMaxEmbedder of a seed, or None if this set has fewer seeds."""
        return _load(self.folders[seed]) if seed < len(self) else None

    @cached_property
    def digests(self):
        """SHA-256 of the weights of each seed, its first 16 digits."""
        files = (folder / "weights.safetensors" for folder in self.folders)
        return [hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in files]

    @cached_property
    def known_properties(self):
        """Properties that all seeds were trained on."""
        known = {tuple(self.embedder(seed).known_properties_) for seed in range(len(self))}
        if len(known) > 1:
            raise ValueError(f"the folders of {self.name!r} were trained on different properties: {sorted(known)}")
        return known.pop()

    def left_out(self, keep_out):
        """Number of crystals with formulas of the file ``keep_out`` that were left out in training, for each seed.

        None if a folder has no such record: the weights may have seen these formulas.
        """
        counts = [_left_out(self.embedder(seed), self.folders[seed].parent, keep_out) for seed in range(len(self))]
        return None if None in counts else counts


def parse_weights(arguments, keep_out, allow_seen):
    """Weight sets of the options ``--weights NAME FOLDER ...``.

    Raises
    ------
    SystemExit
        If a set has no folder, a name is repeated, or weights may have seen formulas of ``keep_out`` (a path, or None),
        unless ``allow_seen``.
    """
    sets = []
    for name, *folders in arguments:
        if not folders:
            raise SystemExit(f"--weights {name}: give the name of the set, and then its folders, one per seed")
        sets.append(WeightSet(name, tuple(Path(folder) for folder in folders)))
    names = [each.name for each in sets]
    if len(set(names)) < len(names) or {"statistics", "MLIP", "untrained"} & set(names):
        raise SystemExit(f"sets of weights need distinct names, other than statistics, MLIP and untrained; got {names}")
    for each in sets:
        if keep_out is not None and not allow_seen and each.left_out(keep_out) is None:
            raise SystemExit(
                f"weights {each.name!r}: not every folder's config.json says that the formulas of {keep_out.name} were "
                "left out. Train with tools/train_weights.py --leave-out, or pass --allow-seen (the report says so)"
            )
    return sets


@cache
def _load(folder):
    return DeepInfoMaxEmbedder.from_pretrained(folder)


def _left_out(embedder, beside, keep_out):
    """Number of crystals left out by ``--leave-out keep_out``, None without a complete record.

    Weights that the training started from, by ``--start``, must be in the same folder and have such a record as well.
    """
    metadata = embedder.pretrained_info_["metadata"]
    words, sources = shlex.split(metadata.get("command", "")), metadata.get("sources", [])
    options = dict(pairwise(words))
    if Path(options.get("--leave-out", "")).name != keep_out.name:
        return None
    if not sources or not all("n_formula_left_out" in source for source in sources):
        return None
    if "--start" in options:
        start = beside / options["--start"]
        if not start.is_dir() or _left_out(_load(start), beside, keep_out) is None:
            return None
    return sum(source["n_formula_left_out"] for source in sources)
