"""The child process of `_oxidation`: reads a formula a line, answers with a line of JSON.

Run as a file, not as a module: it needs pymatgen only, and importing the package would import torch.
"""

import json
import os
import queue
import signal
import sys
import threading


def guess(formula):
    """Return pymatgen's first guess, a dict of symbol -> mean oxidation state, or None where there is none."""
    from pymatgen.core import Composition

    # The reduced formula also fixes the order of the elements, which decides between guesses that score the same.
    guesses = Composition(Composition(formula).reduced_formula).oxi_state_guesses()
    return guesses[0] if guesses else None


def main():
    """Answer until the parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is meant for the parent, which then decides.
    answers = sys.stdout
    sys.stdout = sys.stderr  # so that nothing printed by a library gets among the answers
    formulas: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen():
        for line in sys.stdin:
            formulas.put(line.strip())
        os._exit(0)  # The parent is gone or has had enough: end at once, also in the middle of a guess.

    guess("NaCl")  # loads pymatgen's tables, so that their loading does not count against a time limit
    print("ready", file=answers, flush=True)
    threading.Thread(target=listen, daemon=True).start()
    while True:
        try:
            answer = {"guess": guess(formulas.get())}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
