"""How far a long task is: a bar where it can be seen, lines in a log file."""

from __future__ import annotations

import sys

from tqdm import tqdm

#: Seconds between two lines, where nothing else is asked for.
PAUSE = 10


def progress(iterable=None, *, verbose=True, pause=PAUSE, **options):
    """A progress bar of tqdm on a terminal or in a notebook; elsewhere a line now and then, and one at the end.

    Parameters
    ----------
    iterable : iterable, default=None
        What is counted; without it, ``update`` counts.
    verbose : bool or int, default=True
        False shows nothing.
    pause : float, default=10
        Seconds between two lines.
    **options
        Of tqdm: "desc", "total", "initial", "unit" and so on.

    Returns
    -------
    tqdm
    """
    if not verbose:
        return tqdm(iterable, disable=True, **options)
    if sys.stderr.isatty() or "ipykernel" in sys.modules:
        return tqdm(iterable, **options)
    # Not left: on closing, tqdm would write the end of a bar's line.
    return _Lines(iterable, **options, mininterval=pause, maxinterval=PAUSE, leave=False)


class _Lines(tqdm):
    """Writes lines, for files that keep what a bar would write over."""

    def display(self, msg=None, pos=None):
        """Write a line if there is news: tqdm calls this when it begins, at its intervals, and when it is closed."""
        state = self.format_dict
        if state["n"] == getattr(self, "told", state["initial"]):
            return False
        self.told = state["n"]
        counts = [count for count in (state["n"], state["total"]) if count is not None]
        text = " of ".join(map(tqdm.format_sizeof if state["unit_scale"] else str, counts))
        text += state["unit"] if state["unit_scale"] else f" {state['unit']}s"
        postfix = f", {state['postfix']}" if state["postfix"] else ""
        line = f"{state['prefix']}: {text}, {tqdm.format_interval(state['elapsed'])}{postfix}"
        print(line, file=sys.stderr, flush=True)
        return False
