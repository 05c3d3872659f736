"""Child process of ``oxidation``: reads one formula per line and answers with one line of JSON.

It is run as a file, not as a module, so that it imports pymatgen but not skdim.
"""

import json
import os
import queue
import signal
import sys
import threading


def guess(formula):
    """Return pymatgen's first guess, a dict of symbol -> mean oxidation state, or None if there is none."""
    from pymatgen.core import Composition

    # The order of the elements in the formula decides between guesses with equal scores.
    guesses = Composition(Composition(formula).reduced_formula).oxi_state_guesses()
    return guesses[0] if guesses else None


def main():
    """Answer until the parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C, the parent decides
    answers = sys.stdout
    sys.stdout = sys.stderr  # output of libraries must not mix with the answers
    formulas: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen():
        for line in sys.stdin:
            formulas.put(line.strip())
        os._exit(0)  # the parent has closed the pipe or died: exit at once, even during a guess

    guess("NaCl")  # loads pymatgen's tables, so that this does not count towards the time limit
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
