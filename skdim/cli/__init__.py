"""The command line: ``skdim``, or ``python -m skdim``.

Each command is a module with ``add`` (its options) and ``run`` (its work, by the library). Starting one imports nothing
but the standard library, so that ``--help`` is quick; libraries are imported by ``run``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import traceback
import warnings

from .._version import __version__
from . import embed, evaluate, featurize, fit, info, predict, pretrain
from ._terminal import DONE, FAILED, INTERRUPTED, HelpFormatter, Interrupted, Unread, say

_COMMANDS = (embed, featurize, pretrain, fit, predict, evaluate, info)

_DESCRIPTION = """\
Vectors and models of crystal structures, learnt from structures without labels (Deep InfoMax on Site-Net).

  A vector for each crystal, with the weights that come with skdim, at once:
      skdim embed *.cif -o vectors.csv
  Which model suits my labels, and how good is it on new formulas?
      skdim evaluate labels.csv --target band_gap -o errors.csv
  Fit it, and predict:
      skdim fit labels.csv --target band_gap -o model.skops
      skdim predict model.skops new_crystals/ -o predictions.csv
"""
_EPILOG = """\
Structures are read from CIF files, folders and zip files of them, tables (.csv, .parquet) with a column "cif" or
"structure", ASE databases (.db), and stores that `skdim featurize` wrote. `skdim COMMAND --help` says more.

exit codes:
    0  all is done
    1  done, but some structures could not be used: they are listed, and their
       rows are empty
    2  not done; the message says why
  130  interrupted; the same command goes on from what is done
"""


def main(argv=None):
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, default=None
        The words after "skdim"; None takes those of the process.

    Returns
    -------
    int
        The exit code. (argparse itself raises SystemExit: with 0 after --help, with 2 where an option is wrong.)
    """
    parser = _parser()
    if not (sys.argv[1:] if argv is None else argv):
        parser.print_help(sys.stderr)
        return FAILED
    args = parser.parse_args(argv)
    name = f"skdim {args.command}"
    with warnings.catch_warnings(), contextlib.redirect_stderr(Unread(sys.stderr)):
        warnings.showwarning = lambda message, *_, **__: say(f"{name}: warning: {message}")
        try:
            code = args.run(args)
            sys.stdout.flush()  # here, and not at the end of the process, it can still be told that nobody reads it
            return code
        except (KeyboardInterrupt, Interrupted) as interrupt:
            reason = str(interrupt) if isinstance(interrupt, Interrupted) else ""
            say(f"{name}: interrupted; {reason or 'the same command goes on from what is done'}")
            return INTERRUPTED
        except BrokenPipeError:
            # Whoever read our output has gone. The interpreter must not try to write the rest at its end.
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
            # Python's own exit code would be 1, which says that all is done.
            traceback.print_exc()
            say(f"{name}: error: not done, by a fault of skdim: please report the lines above")
            return FAILED


def _parser():
    parser = argparse.ArgumentParser("skdim", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=HelpFormatter)
    parser.add_argument("--version", action="version", version=f"skdim {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for command in _COMMANDS:
        own = command.add(commands)
        own.formatter_class = HelpFormatter
        own.add_argument("--debug", action="store_true", help="show where in the code an error comes from")
        own.set_defaults(run=command.run)
    return parser
