"""``skdim fit``: fit a model of a property to labels."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

from .._shared.arms import ARMS as _ARMS
from .._shared.arms import COMBINED, CONTROLS, NETWORKS, PRETRAINED
from ._inputs.crystals import elements_of, featurizer_like, featurizer_of, work_folder
from ._inputs.labels import add_labels, check_labels, labelled_crystals
from ._terminal import (
    DONE,
    SOME_FAILED,
    Interrupted,
    add_device,
    add_featurizing,
    add_seed,
    add_weights,
    check_device,
    number,
    say,
)

#: The models that can be fitted.
ARMS = tuple(name for name in _ARMS if name not in CONTROLS)
ARMS_TEXT = "models:\n" + "".join(
    fill(_ARMS[name], 72, initial_indent=f"  {name:16s}", subsequent_indent=" " * 18) + "\n" for name in ARMS
)
ARMS_TEXT += """
With --task classification, logistic regression replaces the Gaussian process.

Which one? `best`, which needs no tuning: it fits 100 labels in about 20 seconds, 1000 in minutes, and prints what it
chose. Without --weights, it takes the vectors of both sets of weights that are included in skdim. Compare it with the
others on your labels with `skdim evaluate`. Gaussian processes can handle up to about 5000 labels; a fit of a Site-Net
takes seconds to a minute, and longer with thousands of labels.
"""

_DESCRIPTION = """\
Fit a model of a property, or of classes, to a table of labels, with structures in the table or in other files. Rows
without a label are left out.
"""
_EPILOG = (
    ARMS_TEXT
    + """
examples:
  skdim fit gaps.csv --target band_gap -o model.skops
  skdim fit gaps.csv --target band_gap --structures my_cifs/ -o model.skops
  skdim fit metals.csv --target is_metal --task classification -o model.skops
  skdim predict model.skops new_cifs/ -o predictions.csv

A .skops file (needs skops) never runs code when it is loaded, so it can be shared. A .joblib file is a pickle, which
can run any code: load it only from sources you trust. Both hold a scikit-learn Pipeline that predicts from structures.
"""
)


def add(commands):
    parser = commands.add_parser(
        "fit", help="fit a model of a property to labels", description=_DESCRIPTION, epilog=_EPILOG
    )
    add_labels(parser)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="MODEL", help="output file: .skops or .joblib"
    )
    parser.add_argument(
        "--arm", choices=ARMS, default="best", metavar="NAME", help="model to fit, see below (default: best)"
    )
    add_weights(parser)
    parser.add_argument(
        "--epochs",
        type=number(int, 1),
        metavar="N",
        help="epochs of the networks: supervised, transfer, and that of best (default: 50)",
    )
    add_seed(parser, "the model")
    add_device(parser)
    add_featurizing(parser, max_sites_default="that of the weights, 50")
    return parser


def run(args):
    from ._model_file import check_model_path, save_model

    check_model_path(args.output)
    labels = check_labels(args)
    check_device(args.device)

    from sklearn.pipeline import make_pipeline

    from .. import ApplicabilityDomain
    from .._version import __version__
    from ..model_selection import make_arm

    if args.weights is not None and args.arm not in PRETRAINED:
        *names, last = [name for name in ARMS if name in PRETRAINED]
        raise ValueError(f"--weights can be used only with {', '.join(names)} and {last}, not with {args.arm}")
    if args.epochs is not None and args.arm not in NETWORKS:
        raise ValueError(f"--epochs can be used only with supervised and transfer, not with {args.arm}")
    embedder = None
    if args.arm in PRETRAINED:
        from .. import DeepInfoMaxEmbedder

        embedder = DeepInfoMaxEmbedder.from_pretrained(args.weights, device=args.device)
    featurizer = featurizer_of(args, embedder)
    options = {"random_state": args.seed, "max_epochs": args.epochs, "device": args.device, "verbose": 1}
    arm = make_arm(args.arm, None if both_included(args.arm, args.weights) else embedder, task=args.task, **options)
    with work_folder(args.output) as work:
        data = labelled_crystals(args, labels, work, featurizer)
        X = data.X if embedder is None else data.X.with_site_features(embedder.site_features_)
        say(f"fitting {args.arm} to {len(X)} labels of {args.target}")
        _fit(arm, X, data.y)
        _say_choice(arm)
        # The domain warns of crystals that are unlike those of the labels.
        domain = [ApplicabilityDomain().fit(X)] if len(X) > 1 else []
        model = make_pipeline(featurizer_like(X), *domain, arm)
        about = {
            "target": args.target,
            "task": args.task,
            "arm": args.arm,
            "n_labels": len(X),
            **_describe(data.y, args.task),
            "weights": None if embedder is None else str(args.weights or "those included in skdim"),
            "site_features": X.site_features,
            "elements": elements_of(X),
            "skdim_version": __version__,
        }
        save_model(model, args.output, about)
    say(f"{args.output}: {args.arm} of {args.target}, {args.output.stat().st_size / 1e6:.2f} MB")
    return SOME_FAILED if data.n_failed else DONE


def _describe(y, task):
    if task == "regression":
        return {"label_mean": y.mean(), "label_std": y.std(), "label_min": y.min(), "label_max": y.max()}
    import numpy as np

    return {"classes": dict(zip(*(values.tolist() for values in np.unique(y, return_counts=True)), strict=True))}


def both_included(arm, weights):
    """Whether a model takes both sets of weights that are included in skdim, as it takes several by default."""
    return arm in COMBINED and weights is None


def _say_choice(arm):
    """Report what a model chose by cross-validation, and the error of the alternatives."""
    regressor = getattr(arm, "steps", [(None, arm)])[-1][1]
    errors = list(getattr(regressor, "cv_errors_", {}).items())
    if errors:
        text = f"chosen by cross-validation over formulas: {errors[0][0]} (mean absolute error {errors[0][1]:.4g}"
        alone = [f"{name} {error:.4g}" for name, error in errors[1:] if not name.startswith("average")]
        say(f"{'; '.join([text, *alone])})")


def _fit(arm, X, y):
    try:
        arm.fit(X, y)
    except KeyboardInterrupt:
        raise Interrupted("the same command trains again from the start, with the featurized structures") from None
