"""What the commands say and how they end; and the options that several of them have."""

from __future__ import annotations

import argparse
import contextlib
import sys
import textwrap
from pathlib import Path

#: Exit codes.
DONE, SOME_FAILED, FAILED, INTERRUPTED = 0, 1, 2, 130


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Fills paragraphs to the terminal's width, and leaves those with indented lines as they are."""

    def __init__(self, prog, **options):
        super().__init__(prog, **{"max_help_position": 14, **options})

    def _fill_text(self, text, width, indent):
        paragraphs = text.strip().split("\n\n")
        return "\n\n".join(
            part if "\n " in part or part.startswith(" ") else textwrap.fill(" ".join(part.split()), width)
            for part in paragraphs
        )


class Interrupted(Exception):
    """Ctrl-C that a library has caught and turned into something else."""


class Unread:
    """Standard error as it is, and as if it was read where its reader has gone, as in ``2>&1 | head``: work goes on."""

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
    """Write a line for people to standard error, which leaves standard output to results."""
    print(text, file=sys.stderr, flush=True)


def number(kind, least, most=None):
    """A type for argparse: a number within bounds."""

    def read(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value or (most is not None and value > most):
            what = "an integer" if kind is int else "a number"
            bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"it must be {what} {bounds}, not {text!r}")
        return value

    return read


def jobs(text):
    """A type for argparse: a number of processes, or -1 for as many as there are cores."""
    if text == "-1":
        return -1
    return number(int, 1)(text)


def add_sources(parser, *, stores=True):
    parser.add_argument(
        "sources",
        nargs="+",
        type=Path,
        metavar="SOURCE",
        help="CIF files, folders or zip files of them (read at any depth), tables (.csv, .parquet) with a column "
        '"cif" or "structure" that holds whole CIFs or pymatgen dicts as JSON, ASE databases (.db)'
        + ("; or one store that `skdim featurize` wrote" if stores else ""),
    )


def add_featurizing(parser, *, max_sites_default):
    """Options of the featurizer."""
    group = parser.add_argument_group("reading structures")
    group.add_argument(
        "--max-sites",
        type=number(int, 1, 65535),
        metavar="N",
        help=f"largest supercell; a structure whose primitive cell has more sites fails (default: {max_sites_default})",
    )
    group.add_argument(
        "--disordered",
        choices=("raise", "majority"),
        help="structures with shared or partly vacant sites: let them fail, or take the species of largest occupancy "
        "(default: raise)",
    )
    group.add_argument(
        "--strict-cif",
        action="store_true",
        default=None,
        help="let CIFs fail that contradict themselves in formula, Z, weight, density, volume or multiplicities "
        "(default: a warning)",
    )
    group.add_argument(
        "--jobs",
        type=jobs,
        default=1,
        metavar="N",
        help="processes that read structures; -1 takes all cores. Worth it from about a thousand structures on "
        "(default: %(default)s)",
    )


def add_device(parser):
    parser.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help='where networks run: "cpu", "cuda", or "auto": a GPU where there is one (default: %(default)s)',
    )


def check_device(name):
    """Check that there is such a device, before anything takes time.

    Raises
    ------
    ValueError
    """
    if name in ("auto", "cpu"):
        return
    import torch

    unknown = ValueError(f"--device {name}: there is no such device; it may be cpu, cuda or auto")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise unknown from None
    # The module of its kind, torch.cuda and the like: kinds that are for torch's own use have none.
    module = getattr(torch, device.type, None)
    if module is None or not hasattr(module, "is_available"):
        raise unknown
    if not module.is_available():
        raise ValueError(f"--device {name}: there is no GPU that torch can use; leave the option out, or take cpu")
    if device.index is not None and not device.index < module.device_count():
        raise ValueError(f"--device {name}: torch finds {module.device_count()} of them, counted from 0")


def add_weights(parser):
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FOLDER",
        help="pre-trained weights, as `skdim pretrain` writes them (default: those that come with skdim)",
    )


def add_seed(parser, of):
    parser.add_argument(
        "--seed", type=number(int, 0, 2**32 - 1), default=0, metavar="N", help=f"of {of} (default: %(default)s)"
    )
