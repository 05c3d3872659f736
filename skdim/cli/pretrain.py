"""``skdim pretrain``: pre-train weights on structures without labels."""

from __future__ import annotations

import warnings
from pathlib import Path

from ._inputs.crystals import check_sources, crystals_of, featurizer_of, reader_of, report, work_folder
from ._terminal import (
    DONE,
    SOME_FAILED,
    Interrupted,
    add_device,
    add_featurizing,
    add_seed,
    add_sources,
    check_device,
    number,
    say,
)

_DESCRIPTION = """\
Pre-train an encoder on structures by Deep InfoMax, without labels. The weights are saved in a folder (JSON and
safetensors), for `--weights` of the other commands and for DeepInfoMaxEmbedder.from_pretrained. Loading them never runs
code.
"""
_EPILOG = """\
examples:
  skdim pretrain my_cifs/ -o my_weights
  skdim pretrain crystals -o my_weights --epochs 20 --device cuda
  skdim embed new.cif -o vectors.csv --weights my_weights

Do you need it? The weights included in skdim were trained on 39 907 structures of the Materials Project; weights of a
few thousand structures are rarely better. The state is saved after every epoch: to resume an interrupted or killed run,
run the same command; the weights will be the same. Training takes some seconds for 1000 crystals and 10 epochs.
"""


def add(commands):
    parser = commands.add_parser(
        "pretrain", help="pre-train weights on structures without labels", description=_DESCRIPTION, epilog=_EPILOG
    )
    add_sources(parser)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="output folder of the weights"
    )
    parser.add_argument(
        "--epochs", type=number(int, 1), metavar="N", help="number of epochs (default: that of the embedder, 10)"
    )
    parser.add_argument("--start", metavar="WEIGHTS", help="weights to start from (default: random weights)")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="file for the state of the training (default: in a hidden folder next to the output, which is deleted at "
        "the end)",
    )
    add_seed(parser, "the initial weights, the order of the crystals and all draws")
    add_device(parser)
    parser.add_argument(
        "--threads",
        type=number(int, 1),
        default=1,
        metavar="N",
        help="training threads. The networks are small: on busy cores, more than one is slower (default: %(default)s)",
    )
    parser.add_argument(
        "--description", default="", metavar="TEXT", help="description of the structures, saved with the weights"
    )
    parser.add_argument(
        "--licence", default="", metavar="TEXT", help="licence of the structures, saved with the weights"
    )
    add_featurizing(parser, max_sites_default="50")
    return parser


def run(args):
    from .._shared.files import refuse_existing

    refuse_existing(args.output)
    check_sources(args.sources, args)
    check_device(args.device)

    embedder = _embedder(args)
    with work_folder(args.output) as work:
        start = embedder if args.start else None
        features = None if start is None else start.site_features_
        named = crystals_of(args.sources, work, featurizer_of(args, start), features)
        n_failed = report(named, args.output, reader_of(args.sources))
        embedder.set_params(checkpoint=args.checkpoint or work / "training.pt")
        say(f"training on {len(named.X) - n_failed} crystals")
        _fit(embedder, named.X)
        metadata = {"data": args.description or ", ".join(path.name for path in args.sources)}
        if args.licence:
            metadata["licence"] = args.licence
        embedder.save_pretrained(args.output, metadata=metadata)
    say(f"{args.output}: weights after {embedder.n_iter_} epochs, loss {embedder.history_[-1, 'train_loss']:.4f}")
    return SOME_FAILED if n_failed else DONE


def _embedder(args):
    from .. import DeepInfoMaxEmbedder

    options = {
        "random_state": args.seed,
        "device": args.device,
        "n_jobs": args.threads,
        "verbose": 1,
    }
    if args.epochs is not None:
        options["max_epochs"] = args.epochs
    if args.start is not None:
        return DeepInfoMaxEmbedder.from_pretrained(args.start, **options, warm_start=True)
    return DeepInfoMaxEmbedder(**options)


def _fit(embedder, X):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*leaves out .* rows that could not be featurized")  # already reported
        try:
            embedder.fit(X)
        except ValueError as error:
            if "of another run" in str(error):
                error.add_note(
                    "Resume with the same options: max_epochs is the option --epochs, random_state is --seed"
                )
            raise
        except KeyboardInterrupt as interrupt:
            reason = str(interrupt) or "training was interrupted"
            raise Interrupted(f"{reason}; run the same command to resume") from None
