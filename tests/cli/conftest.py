"""Structures, tables and stores for the command line, and a fixture that runs it."""

import numpy as np
import pandas as pd
import pytest

from skdim import DeepInfoMaxEmbedder
from skdim.cli import main
from tests.helpers.small_structures import write_cifs


@pytest.fixture(scope="session")
def shipped():
    return DeepInfoMaxEmbedder.from_pretrained()


@pytest.fixture(scope="session")
def cifs(structures, tmp_path_factory):
    """A folder of ten CIFs; do not change it."""
    return write_cifs(structures[:10], tmp_path_factory.mktemp("data") / "cifs")


@pytest.fixture(scope="session")
def table(structures, y, tmp_path_factory):
    """A CSV table of 30 structures with labels; row 3 has none. Do not change it."""
    path = tmp_path_factory.mktemp("data") / "table.csv"
    frame = pd.DataFrame({"id": [f"m{k}" for k in range(30)], "cif": [s.to(fmt="cif") for s in structures[:30]]})
    frame["energy"] = np.where(np.arange(30) == 3, np.nan, y[:30])
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def store(cifs):
    """A store of the CIFs, with a site feature that the weights do not use; do not change it."""
    folder = cifs.parent / "store"
    assert main(["featurize", str(cifs), "-o", str(folder), "--oxidation-states", "species"]) == 0
    return folder


@pytest.fixture
def run(capsys):
    """Runs a command and returns its exit code, standard output and standard error."""

    def command(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return command
