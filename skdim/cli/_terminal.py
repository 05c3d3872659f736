"""Messages and exit codes, and the options that several commands share."""

from __future__ import annotations

import argparse
import contextlib
import sys
import textwrap
from pathlib import Path

#: Exit codes.
DONE, SOME_FAILED, FAILED, INTERRUPTED = 0, 1, 2, 130


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Wraps paragraphs to the width of the terminal, except those with indented lines."""

    def __init__(self, prog, **options):
        super().__init__(prog, **{"max_help_position": 14, **options})

    def _fill_text(self, text, width, indent):
        paragraphs = text.strip().split("\n\n")
        return "\n\n".join(
            part if "\n " in part or part.startswith(" ") else textwrap.fill(" ".join(part.split()), width)
            for part in paragraphs
        )


class CommandsFormatter(HelpFormatter):
    """Keeps each command and its description on one line."""

    def __init__(self, prog, **options):
        super().__init__(prog, **{"max_help_position": 16, **options})
        self._action_max_length = 14  # argparse does not count the indentation of commands


class Interrupted(Exception):
    """Ctrl-C that a library has caught and turned into a warning or another error."""


class UnbreakableStream:
    """A stream that ignores that its reader has gone, as in ``2>&1 | head``: the command continues."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        with contextlib.suppress(BrokenPipeError):
            self._stream.write(text)
        return len(text)

    def flush(self):
        with contextlib.suppress(BrokenPipeError):
            self._stream.flush()

    def __getattr__(self, name):
        return getattr(self._stream, name)


def say(text=""):
    """Print a message to standard error; standard output is for results."""
    print(text, file=sys.stderr, flush=True)


def printable(text):
    """Text without control characters, which a file could use to write anything to the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def number(kind, least, most=None):
    """Return a type for argparse: a number within bounds."""

    def read(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value or (most is not None and value > most):
            what = "an integer" if kind is int else "a number"
            bounds = f">= {least}" if most is None else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"must be {what} {bounds}, got {text!r}")
        return value

    return read


def jobs(text):
    """Type for argparse: a number of processes, or -1 for all cores."""
    if text == "-1":
        return -1
    return number(int, 1)(text)


def add_sources(parser, *, stores=True):
    parser.add_argument(
        "sources",
        nargs="+",
        type=Path,
        metavar="SOURCE",
        help="structure files (CIF, POSCAR, XDATCAR, extended XYZ, XSF, RES, CSSR, ASE trajectory, JSON), folders and "
        'archives (zip, tar) of them, tables (.csv, .parquet) with a column "cif" or "structure" of such texts, ASE '
        "databases (.db)" + ("; or one store written by `skdim featurize`" if stores else ""),
    )


def add_featurizing(parser, *, max_sites_default):
    """Add the options of the featurizer."""
    group = parser.add_argument_group("reading structures")
    group.add_argument(
        "--max-sites",
        type=number(int, 1, 65535),
        metavar="N",
        help="maximal number of sites of the supercell; a structure whose primitive cell has more fails (default: "
        f"{max_sites_default})",
    )
    group.add_argument(
        "--disordered",
        choices=("raise", "majority"),
        help="structures with partially occupied sites: let them fail (raise), or use the species of largest occupancy "
        "(majority) (default: raise)",
    )
    group.add_argument(
        "--strict-cif",
        action="store_true",
        default=None,
        help="let CIFs fail that contradict themselves in formula, Z, weight, density, volume or multiplicities "
        "(default: warn)",
    )
    group.add_argument(
        "--jobs",
        type=jobs,
        default=1,
        metavar="N",
        help="processes that read structures; -1 uses all cores. Useful from about a thousand structures on (default: "
        "%(default)s)",
    )


def add_device(parser):
    parser.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help='device of the networks: "cpu", "cuda", or "auto", a GPU if there is one (default: %(default)s)',
    )


def check_device(name):
    """Check that the device exists, before anything that takes time.

    Raises
    ------
    ValueError
    """
    if name in ("auto", "cpu"):
        return
    import torch

    unknown = ValueError(f"--device {name}: unknown device; use cpu, cuda or auto")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise unknown from None
    # The module of the device type, for instance torch.cuda; types for internal use of torch have none.
    module = getattr(torch, device.type, None)
    if module is None or not hasattr(module, "is_available"):
        raise unknown
    if not module.is_available():
        raise ValueError(f"--device {name}: torch finds no such device; use --device cpu, or omit the option")
    if device.index is not None and not device.index < module.device_count():
        raise ValueError(f"--device {name}: torch finds {module.device_count()} of them, numbered from 0")


def add_weights(parser):
    parser.add_argument(
        "--weights",
        metavar="WEIGHTS",
        help="pre-trained weights: structures (the default) or properties, which are included in skdim, a folder "
        "written by `skdim pretrain`, or hf://organisation/name",
    )


def add_seed(parser, of):
    parser.add_argument(
        "--seed",
        type=number(int, 0, 2**32 - 1),
        default=0,
        metavar="N",
        help=f"random seed of {of} (default: %(default)s)",
    )
