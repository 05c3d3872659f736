"""The help of the command line."""

import argparse
import subprocess
import sys

import pytest

from skdim._shared.arms import ARMS, CONTROLS, PRETRAINED
from skdim.cli import _COMMANDS, _parser, fit, main
from skdim.model_selection import make_arm
from tests.cli.running import PATIENCE


def test_every_option_is_explained(capsys):
    parser = _parser()
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction)).choices
    assert list(commands) == [
        "embed",
        "featurize",
        "pretrain",
        "fit",
        "predict",
        "evaluate",
        "search",
        "duplicates",
        "suggest",
        "figure-s1",
        "info",
    ]
    assert len(commands) == len(_COMMANDS)
    for name, command in commands.items():
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
        text = " ".join(capsys.readouterr().out.split())
        assert "examples:" in text
        for action in command._actions:
            assert action.help, (name, action.dest)
            for word in action.option_strings or [action.metavar]:
                assert word in text, (name, word)
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(f"\n  {code}  " in text or f"\n    {code}  " in text for code in (0, 1, 2, 130))


def test_help_fits_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for words in ([], *([module.__name__.rpartition(".")[2].replace("_", "-")] for module in _COMMANDS)):
        with pytest.raises(SystemExit, match="0"):
            main([*words, "--help"])
        assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_help_imports_nothing():
    script = """
import sys
from skdim.cli import _parser
_parser().format_help()
print(sorted({"numpy", "pandas", "sklearn", "torch", "pymatgen", "tqdm"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_models_are_those_of_the_library():
    assert set(fit.ARMS) | set(CONTROLS) == set(ARMS)
    assert all(f"\n  {arm} " in fit.ARMS_TEXT for arm in fit.ARMS)
    assert set(PRETRAINED) < set(ARMS)
    assert all(f"{name}``" in make_arm.__doc__ and what in make_arm.__doc__ for name, what in ARMS.items())
