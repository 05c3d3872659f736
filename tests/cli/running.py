"""What the tests of the command line share: running a command in another process, and listing what it left."""

import signal
import subprocess
import sys
from functools import partial

BAD = "data_x\n_cell_length_a nonsense\n"
#: No test waits longer for a process, however busy the machine is.
PATIENCE = 300


def in_process(*words, cwd=None, start=False):
    command = [sys.executable, "-m", "skdim", *map(str, words)]
    if start:
        # A test that runs in the background of a shell ignores Ctrl-C, and so would its child.
        own = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=cwd, preexec_fn=own)
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=PATIENCE)


def left(folder):
    return sorted(path.name for path in folder.iterdir())
