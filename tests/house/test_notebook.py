"""The quick start notebook is valid, has no outputs, and its cells run in order."""

import json
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
NOTEBOOK = Path(__file__).parents[2] / "examples" / "quick_start.ipynb"


@pytest.fixture
def notebook():
    return json.loads(NOTEBOOK.read_text("utf-8"))


def test_notebook_has_the_current_format_and_no_outputs(notebook):
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in notebook["cells"]:
        assert cell["cell_type"] in ("markdown", "code")
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


def test_cells_run_in_order(notebook, capsys, monkeypatch):
    import matplotlib.pyplot as plt

    names = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{NOTEBOOK.name}, {cell['id']}", "exec"), names)
    assert names["vectors"].shape == (len(names["X"]), 192)
    assert names["error"] < 0.5 * names["mean_error"]
    assert "mean absolute error 0." in capsys.readouterr().out
    assert plt.get_fignums()
    plt.close("all")
