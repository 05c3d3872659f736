"""Runs of the command line in a separate process, and the files that they leave."""

import signal
import subprocess
import sys
from functools import partial

BAD = "data_x\n_cell_length_a nonsense\n"
#: Time limit for a process, in seconds, on a busy machine.
PATIENCE = 300


def in_process(*words, cwd=None, start=False):
    command = [sys.executable, "-m", "skdim", *map(str, words)]
    if start:
        # Processes in the background of a shell ignore Ctrl-C, and their children inherit that.
        restore = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=cwd, preexec_fn=restore)
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=PATIENCE)


def left(folder):
    return sorted(path.name for path in folder.iterdir())
