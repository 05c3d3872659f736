"""``skdim predict --known``: predict the properties that pre-trained weights have learned."""

from __future__ import annotations

from ._inputs.crystals import crystals_of, featurizer_parameters, report, work_folder
from ._tables import write_table
from ._terminal import DONE, SOME_FAILED, say


def predict_known(args):
    """Write a table with a column for each known property of the weights ``args.model``."""
    from .. import DeepInfoMaxEmbedder, SiteNetFeaturizer

    # The name of included weights is a text; argparse has made a path of it.
    embedder = DeepInfoMaxEmbedder.from_pretrained(str(args.model))
    if not embedder.known_properties_:
        raise ValueError(
            f"the weights {args.model} have learned no properties: use `properties`, or weights that were trained with "
            "DeepInfoMaxEmbedder(property_weight=1.0).fit(X, Y)"
        )
    parameters = featurizer_parameters(embedder.featurizer_settings_, embedder.site_features_)
    featurizer = SiteNetFeaturizer(**parameters, n_jobs=args.jobs, verbose=1, on_error="warn")
    with work_folder(args.output) as work:
        named = crystals_of(args.sources, work, featurizer, embedder.site_features_)
        n_failed = report(named, args.output)
        X = named.X
        table = embedder.predict_properties(X).reset_index(drop=True)
        formulas = [None if failed else formula for formula, failed in zip(X.formulas, X.failed, strict=True)]
        table.insert(0, "formula", formulas)
        table.insert(0, "id" if named.has_names else "row", named.ids)
        write_table(table, args.output)
    say(f"{args.output}: {len(embedder.known_properties_)} properties of {len(X) - n_failed} crystals")
    return SOME_FAILED if n_failed else DONE
