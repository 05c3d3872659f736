"""Oxidation states of sites: those of the species, or pymatgen's guess from the formula with a time limit."""

import atexit
import contextlib
import json
import math
import os
import subprocess
import sys
import threading
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

from .elements import SYMBOLS
from .formulas import reduced_formula

#: Seconds in which the child process must have imported pymatgen, also on a busy machine.
_START_LIMIT = 300.0


def oxidation_states(structure, mode, time_limit=5.0):
    """Return the oxidation state of every site.

    Parameters
    ----------
    structure : Structure
        Ordered.
    mode : {"species", "guess"}
        "species": the oxidation states of the species. "guess": the same if every site has one; otherwise, for each
        element, the mean state in the first of pymatgen's ``Composition.oxi_state_guesses`` for the reduced formula.
    time_limit : float
        Seconds per formula. Guesses are cached for the lifetime of the process.

    Returns
    -------
    ndarray of float32 of shape (n_sites,)
        0 if unknown.

    Warns
    -----
    UserWarning
        Once per formula whose guess failed or took too long; the states of its sites are 0.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> salt = Structure(Lattice.cubic(5.6), ["Na+", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> oxidation_states(salt, "species")
    array([1., 0.], dtype=float32)
    """
    if mode not in ("species", "guess"):
        raise ValueError(f"mode must be 'species' or 'guess', got {mode!r}")
    if not time_limit > 0:
        raise ValueError(f"time_limit must be positive, got {time_limit!r}")
    species = [next(iter(site.species)) for site in structure.sites]
    # Element has no oxi_state; that of a Species can be None or NaN.
    states = [getattr(kind, "oxi_state", None) for kind in species]
    states = [None if state is None or not math.isfinite(state) else state for state in states]
    if mode == "guess" and None in states:
        # By atomic number: Fe2+ and Fe3+ are one element, and deuterium is hydrogen.
        symbols = [SYMBOLS[kind.Z] for kind in species]
        formula = reduced_formula(Counter(symbols))
        guess = _guess(formula, time_limit) if len(set(symbols)) > 1 else {}
        states = [guess.get(symbol, 0.0) for symbol in symbols]
    return np.array([0.0 if state is None else state for state in states], dtype=np.float32)


class _Guesser:
    """A child process that guesses oxidation states, and a cache of its answers.

    pymatgen enumerates combinations, which takes hours for some formulas. Only a process can be stopped reliably, since
    signals reach the main thread only.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.answers = {}  # reduced formula -> dict, empty if there is no guess
        self.given_up = {}  # formula -> the largest time limit that was exceeded
        self.process = None

    def guess(self, formula, time_limit):
        """Return the guess for a formula: a dict, empty if there is none."""
        with self.lock:
            if formula in self.answers:
                return self.answers[formula]
            if self.given_up.get(formula, 0.0) >= time_limit:
                return {}
            first = formula not in self.given_up
            answer, failure = self._ask(formula, time_limit)
            if answer is not None:
                self.answers[formula] = answer
                return answer
            self.given_up[formula] = time_limit
        if first:
            warnings.warn(
                f"the oxidation states of {formula} could not be guessed ({failure}); 0 is used. Add oxidation "
                "states to the structure, or raise the time limit.",
                stacklevel=4,
            )
        return {}

    def _ask(self, formula, time_limit):
        """Return (answer, None), or (None, reason of the failure)."""
        try:
            for _ in range(2):  # a second time if the child has died since the last formula
                if self.process is None:
                    self._start()
                line, expired = self._exchange(f"{formula}\n", time_limit)
                if line:
                    answer = json.loads(line)
                    return (None, answer["error"]) if "error" in answer else (answer["guess"] or {}, None)
                self.stop()
                if expired:
                    return None, f"no answer within {time_limit:g} s"
            return None, "the child process died, possibly out of memory"
        except BaseException:
            # After Ctrl-C, the pending answer would be read as the answer to the next formula.
            self.stop()
            raise

    def _start(self):
        worker = Path(__file__).with_name("oxidation_worker.py")
        # -P: modules in the folder of the file must not shadow the standard library.
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", str(worker)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        line, _ = self._exchange("", _START_LIMIT)
        if line.strip() != "ready":
            self.stop()
            raise RuntimeError(
                f"the child process that guesses oxidation states did not start ({sys.executable} {worker}); see its "
                "messages on stderr, or use oxidation_states='species'"
            )

    def _exchange(self, request, time_limit):
        """Send a request; return (the line of the answer or "", whether the time limit was exceeded)."""
        process, expired = self.process, threading.Event()
        assert process is not None  # _ask has started it

        def expire():
            expired.set()
            process.kill()

        # Killing the child ends the blocking read on every platform; select() does not work on pipes on Windows.
        timer = threading.Timer(min(time_limit, threading.TIMEOUT_MAX), expire)
        timer.daemon = True
        timer.start()
        try:
            process.stdin.write(request)
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:  # broken pipe: the child has died
            line = ""
        finally:
            timer.cancel()
            timer.join()
        return (line if line.endswith("\n") else ""), expired.is_set()

    def stop(self):
        """Kill the child and wait for its end."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):  # unflushed data cannot be written any more
                    pipe.close()
            process.wait()

    def forget_child(self):
        """After a fork, forget the child of the parent process without stopping it."""
        process, self.process, self.lock = self.process, None, threading.Lock()
        if process is not None:
            # Open copies of its pipes would keep it alive when the parent ends. They cannot be closed as files, because
            # a thread of the parent may have held their locks.
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, process.stdin.fileno(), inheritable=False)
            os.dup2(null, process.stdout.fileno(), inheritable=False)
            os.close(null)
            process.returncode = 0
            _INHERITED.append(process)


#: Referenced here, because garbage collection would close them as files.
_INHERITED: list[subprocess.Popen] = []
_GUESSER = _Guesser()
atexit.register(_GUESSER.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_GUESSER.forget_child)


def _guess(formula, time_limit):
    """Guess with the child process that all threads share."""
    return _GUESSER.guess(formula, time_limit)
