"""Progress of long tasks: a bar in terminals and notebooks, lines in log files."""

from __future__ import annotations

import sys

from tqdm import tqdm

#: Default number of seconds between two lines.
PAUSE = 10


def progress(iterable=None, *, verbose=True, pause=PAUSE, **options):
    """Show a tqdm progress bar in a terminal or notebook; elsewhere, write a line at intervals and one at the end.

    Parameters
    ----------
    iterable : iterable, default=None
        The items to count. With None, call ``update``.
    verbose : bool or int, default=True
        False shows no progress.
    pause : float, default=10
        Seconds between two lines.
    **options
        Passed to tqdm: "desc", "total", "initial", "unit" and so on.

    Returns
    -------
    tqdm
    """
    if not verbose:
        return tqdm(iterable, disable=True, **options)
    if sys.stderr.isatty() or "ipykernel" in sys.modules:
        return tqdm(iterable, **options)
    # leave=False: otherwise tqdm writes a line break when it is closed.
    return _Lines(iterable, **options, mininterval=pause, maxinterval=PAUSE, leave=False)


class _Lines(tqdm):
    """Write lines instead of a bar that is redrawn, for log files."""

    def display(self, msg=None, pos=None):
        """Write a line if the count has changed. Called by tqdm at the start, at intervals, and when it is closed."""
        state = self.format_dict
        if state["n"] == getattr(self, "last_shown", state["initial"]):
            return False
        self.last_shown = state["n"]
        counts = [count for count in (state["n"], state["total"]) if count is not None]
        text = " of ".join(map(tqdm.format_sizeof if state["unit_scale"] else str, counts))
        text += state["unit"] if state["unit_scale"] else f" {state['unit']}s"
        postfix = f", {state['postfix']}" if state["postfix"] else ""
        line = f"{state['prefix']}: {text}, {tqdm.format_interval(state['elapsed'])}{postfix}"
        print(line, file=sys.stderr, flush=True)
        return False
