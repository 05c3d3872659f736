"""The command line: ``skdim``, or ``python -m skdim``.

Each command is a module with ``add``, which adds its options, and ``run``, which calls the library. Only the standard
library is imported until ``run`` is called, so that ``--help`` is fast.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import traceback
import warnings

from .._version import __version__
from . import embed, evaluate, featurize, figure_s1, fit, info, predict, pretrain
from ._terminal import DONE, FAILED, INTERRUPTED, CommandsFormatter, HelpFormatter, Interrupted, UnbreakableStream, say
from .explore import duplicates, search, suggest

_COMMANDS = (embed, featurize, pretrain, fit, predict, evaluate, search, duplicates, suggest, figure_s1, info)

_DESCRIPTION = """\
Vectors and models of crystal structures, pre-trained on structures without labels (Deep InfoMax on Site-Net).

  Compute a vector for each crystal with the weights included in skdim:
      skdim embed *.cif -o vectors.csv
  Compare models on your labels, tested on new formulas:
      skdim evaluate labels.csv --target band_gap -o errors.csv
  Fit a model, and predict:
      skdim fit labels.csv --target band_gap -o model.skops
      skdim predict model.skops new_crystals/ -o predictions.csv
  Find the crystals that are most similar to one, and those that occur twice:
      skdim search query.cif my_cifs/
      skdim duplicates my_cifs/
"""
_EPILOG = """\
Structures are read from files of most formats (CIF, POSCAR, extended XYZ, JSON, ...), folders and archives of them,
tables (.csv, .parquet) with a column "cif" or "structure", ASE databases (.db), and stores written by `skdim
featurize`. See `skdim COMMAND --help` for the options.

exit codes:
    0  done
    1  done, but some structures failed: they are listed, and their rows are
       empty
    2  failed; the message says why
  130  interrupted; the same command resumes
"""


def main(argv=None):
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, default=None
        Arguments after "skdim"; default: those of the process.

    Returns
    -------
    int
        The exit code. (argparse raises SystemExit: with 0 after --help, with 2 if an option is wrong.)
    """
    parser = _parser()
    if not (sys.argv[1:] if argv is None else argv):
        parser.print_help(sys.stderr)
        return FAILED
    args = parser.parse_args(argv)
    name = f"skdim {args.command}"
    with warnings.catch_warnings(), contextlib.redirect_stderr(UnbreakableStream(sys.stderr)):
        warnings.showwarning = lambda message, *_, **__: say(f"{name}: warning: {message}")
        try:
            code = args.run(args)
            sys.stdout.flush()  # raises BrokenPipeError here, where it is handled, instead of at exit
            return code
        except (KeyboardInterrupt, Interrupted) as interrupt:
            reason = str(interrupt) if isinstance(interrupt, Interrupted) else ""
            say(f"{name}: interrupted; {reason or 'run the same command to resume'}")
            return INTERRUPTED
        except BrokenPipeError:
            # The reader of our output has gone. The interpreter must not try to write the rest at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return DONE
        except (ValueError, TypeError, OSError, ImportError, RuntimeError, MemoryError) as error:
            if args.debug:
                traceback.print_exc()
            say(f"{name}: error: {error or type(error).__name__}")
            for note in getattr(error, "__notes__", ()):
                say(f"  {note}")
            return FAILED
        except Exception:
            # Python's exit code would be 1, which means that the command is done.
            traceback.print_exc()
            say(f"{name}: internal error: please report the traceback above")
            return FAILED


def _parser():
    parser = argparse.ArgumentParser(
        "skdim", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=CommandsFormatter
    )
    parser.add_argument("--version", action="version", version=f"skdim {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for command in _COMMANDS:
        options = command.add(commands)
        options.formatter_class = HelpFormatter
        options.add_argument("--debug", action="store_true", help="show the traceback of an error")
        options.set_defaults(run=command.run)
    return parser
