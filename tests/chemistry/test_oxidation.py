"""Oxidation states: known values, the time limit, the cache, and the end of the child process with its parent."""

import subprocess
import sys
import textwrap
import threading
import warnings

import joblib
import numpy as np
import pytest
from pymatgen.core import Composition, Lattice, Species, Structure

from skdim._chemistry import oxidation as _oxidation
from skdim._chemistry.oxidation import oxidation_states

#: Six transition metals with about 10 ** 10 combinations of states, which take pymatgen hours.
SLOW = "Mn24Fe20Co18Ni16V14Cr12O150"


def make_crystal(formula):
    """Build a crystal of this composition with arbitrary coordinates."""
    species = [el for el, n in Composition(formula).items() for _ in range(int(n))]
    coords = np.random.default_rng(0).random((len(species), 3))
    return Structure(Lattice.cubic((20.0 * len(species)) ** (1 / 3)), species, coords)


@pytest.fixture
def guesser(monkeypatch):
    """Replace the guesser of this process; its child is stopped after the test."""
    fresh = _oxidation._Guesser()
    monkeypatch.setattr(_oxidation, "_GUESSER", fresh)
    yield fresh
    fresh.stop()


def by_symbol(structure, states):
    return {site.specie.symbol: round(float(state), 3) for site, state in zip(structure, states, strict=True)}


def test_species_mode_returns_states_of_species_and_zero_if_unknown():
    species = [Species("Fe", 2), Species("Fe", 2.5), Species("O", -2), Species("O", None), "O"]
    structure = Structure(Lattice.cubic(6), species, np.linspace(0, 0.8, 5)[:, None].repeat(3, axis=1))
    before = structure.as_dict()
    states = oxidation_states(structure, "species")
    assert states.dtype == np.float32
    np.testing.assert_array_equal(states, [2, 2.5, -2, 0, 0])
    assert structure.as_dict() == before


def test_known_guesses(guesser):
    expected = {
        "NaCl": {"Na": 1, "Cl": -1},
        "Fe2O3": {"Fe": 3, "O": -2},
        "Fe3O4": {"Fe": 2.667, "O": -2},
        "LiFePO4": {"Li": 1, "Fe": 2, "P": 5, "O": -2},
        "Li3Fe2P3O12": {"Li": 1, "Fe": 3, "P": 5, "O": -2},
        "Na4Cl4": {"Na": 1, "Cl": -1},
        "D2O": {"H": 1, "O": -2},
        "Fe2": {"Fe": 0},
        "Na3Cl": {"Na": 0, "Cl": 0},  # no balanced combination of common states
        "XeAr": {"Xe": 0, "Ar": 0},
    }
    guessed = {}
    for formula in expected:
        structure = make_crystal(formula)
        before = structure.as_dict()
        states = oxidation_states(structure, "guess")
        assert states.dtype == np.float32
        assert states.shape == (len(structure),)
        assert structure.as_dict() == before
        guessed[formula] = by_symbol(structure, states)
    assert guessed == expected


def test_guess_is_that_of_pymatgen_for_the_reduced_formula(guesser):
    for formula in ["Na4Mn5Fe7Co6Ni5V4O40", "LiNi5Mn3Co2O20", "Fe3O4", "Ba2Ti9Nb3Fe5Mn7O40"]:
        structure = make_crystal(formula)
        expected = Composition(structure.composition.reduced_formula).oxi_state_guesses()[0]
        guessed = by_symbol(structure, oxidation_states(structure, "guess"))
        assert guessed == {symbol: round(state, 3) for symbol, state in expected.items()}


def test_guess_keeps_complete_states_and_replaces_partial_ones(guesser):
    coords = [[0, 0, 0], [0.5, 0.5, 0.5]]
    odd = Structure(Lattice.cubic(5), [Species("Na", 0.5), Species("Cl", -0.5)], coords)
    np.testing.assert_array_equal(oxidation_states(odd, "guess"), [0.5, -0.5])
    assert guesser.process is None
    partial = Structure(Lattice.cubic(5), [Species("Na", 0.5), "Cl"], coords)
    np.testing.assert_array_equal(oxidation_states(partial, "guess"), [1, -1])


def test_guesses_are_cached(guesser, monkeypatch):
    oxidation_states(make_crystal("NaCl"), "guess")
    oxidation_states(make_crystal("Na3Cl"), "guess")
    monkeypatch.setattr(guesser, "_ask", lambda *args: pytest.fail("a second request to the child"))
    np.testing.assert_array_equal(oxidation_states(make_crystal("Na2Cl2"), "guess"), [1, 1, -1, -1])
    np.testing.assert_array_equal(oxidation_states(make_crystal("Na3Cl"), "guess"), 0)


def test_a_slow_guess_is_stopped_with_one_warning_and_cached(guesser):
    slow = make_crystal(SLOW)
    oxidation_states(make_crystal("NaCl"), "guess")
    child = guesser.process
    with pytest.warns(UserWarning, match=r"Mn12V7Cr6Fe10Co9Ni8O75.*no answer within 0\.2 s.*0 is used") as caught:
        np.testing.assert_array_equal(oxidation_states(slow, "guess", time_limit=0.2), 0)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert child.returncode is not None  # killed and reaped
    assert guesser.process is None
    np.testing.assert_array_equal(oxidation_states(slow, "guess", time_limit=0.1), 0)
    assert guesser.process is None
    np.testing.assert_array_equal(
        oxidation_states(slow, "guess", time_limit=0.3), 0
    )  # guessed again, without a second warning
    np.testing.assert_array_equal(oxidation_states(make_crystal("MgO"), "guess"), [2, -2])


def test_a_dead_child_is_replaced(guesser):
    oxidation_states(make_crystal("NaCl"), "guess")
    guesser.process.kill()
    guesser.process.wait()
    np.testing.assert_array_equal(oxidation_states(make_crystal("MgO"), "guess"), [2, -2])


def test_a_child_with_an_unsent_request_is_stopped(guesser):
    """As after Ctrl-C between writing and flushing."""
    oxidation_states(make_crystal("NaCl"), "guess")
    child = guesser.process
    child.stdin.write("KF\n")
    child.kill()
    guesser.stop()
    assert child.returncode is not None, "not reaped"
    assert child.stdin.closed
    assert child.stdout.closed
    np.testing.assert_array_equal(oxidation_states(make_crystal("MgO"), "guess"), [2, -2])


def test_a_child_that_dies_repeatedly_is_a_warning(guesser, monkeypatch):
    monkeypatch.setattr(guesser, "_exchange", lambda request, limit: ("" if request else "ready\n", False))
    with pytest.warns(UserWarning, match=r"KF could not be guessed \(the child process died"):
        np.testing.assert_array_equal(oxidation_states(make_crystal("KF"), "guess"), 0)


def test_a_child_that_does_not_start_is_an_error(guesser, monkeypatch):
    monkeypatch.setattr(guesser, "_exchange", lambda request, limit: ("", False))
    with pytest.raises(RuntimeError, match="did not start"):
        oxidation_states(make_crystal("KF"), "guess")
    assert guesser.process is None


def test_an_interrupt_leaves_no_pending_answer(guesser, monkeypatch):
    oxidation_states(make_crystal("NaCl"), "guess")
    with monkeypatch.context() as patch:
        patch.setattr(_oxidation.json, "loads", lambda line: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            oxidation_states(make_crystal("KF"), "guess")
    assert guesser.process is None
    np.testing.assert_array_equal(oxidation_states(make_crystal("MgO"), "guess"), [2, -2])


def test_threads_share_one_child(guesser):
    formulas = ["NaCl", "Fe2O3", "MgO", "KF", "Al2O3", "NaCl", "Fe2O3", "MgO"]
    guessed = {}

    def work(index, formula):
        structure = make_crystal(formula)
        guessed[index] = by_symbol(structure, oxidation_states(structure, "guess"))

    threads = [threading.Thread(target=work, args=item) for item in enumerate(formulas)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert guessed[1] == guessed[6] == {"Fe": 3, "O": -2}
    assert guessed[4] == {"Al": 3, "O": -2}
    assert guessed[3] == {"K": 1, "F": -1}
    assert len(guesser.answers) == len(set(formulas))


def test_time_limit_works_outside_the_main_thread(guesser):
    guessed = []

    def work():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            guessed.append(oxidation_states(make_crystal(SLOW), "guess", time_limit=0.2))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    np.testing.assert_array_equal(guessed[0], 0)


def test_guesses_in_joblib_workers():
    structures = [make_crystal("MgO"), make_crystal("Fe2O3")]
    guessed = joblib.Parallel(n_jobs=2)(joblib.delayed(oxidation_states)(crystal, "guess") for crystal in structures)
    np.testing.assert_array_equal(guessed[0], [2, -2])
    np.testing.assert_array_equal(guessed[1], [3, 3, -2, -2, -2])


@pytest.mark.parametrize(("mode", "limit", "match"), [("bvs", 5, "mode must be"), ("guess", 0, "time_limit must be")])
def test_invalid_arguments_are_refused(mode, limit, match):
    with pytest.raises(ValueError, match=match):
        oxidation_states(make_crystal("NaCl"), mode, time_limit=limit)


def run_script(script):
    """Run a script; return its output when all processes with its stderr, including the child, have ended."""
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.split()


def test_the_child_ends_with_its_parent():
    assert run_script("from skdim._chemistry.oxidation import _guess\nprint(_guess('NaCl', 5)['Na'])") == ["1.0"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_the_child_ends_with_a_killed_parent_during_a_guess():
    out = run_script(f"""
        import os, signal, threading
        from skdim._chemistry.oxidation import _guess
        print(_guess("NaCl", 5)["Na"], flush=True)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGKILL)).start()
        _guess("{SLOW}", 1000)
        print("not reached")
        """)
    assert out == ["1.0"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_fork_starts_a_new_child():
    out = run_script("""
        import os
        from skdim._chemistry.oxidation import _GUESSER, _guess
        _guess("NaCl", 5)
        child = _GUESSER.process.pid
        if (fork := os.fork()) == 0:
            print(_guess("MgO", 5)["Mg"], _GUESSER.process.pid != child, flush=True)
            raise SystemExit
        os.waitpid(fork, 0)
        print(_guess("KF", 5)["K"], _GUESSER.process.pid == child)
        """)
    assert out == ["2.0", "True", "1.0", "True"]
