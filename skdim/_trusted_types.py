"""The types that skops files of fitted estimators may hold."""

from __future__ import annotations

#: Names as skops writes them, of types that skops does not trust by itself. None of them runs what a file says. A test
#: checks that each is needed and that no estimator needs another.
_TYPES = (
    "builtins.print",  # where skorch's PrintLog writes to
    "skdim._classifier.classes.ClassPriors",
    "skdim._classifier.classifier.SiteNetClassifier",
    "skdim._embedder.embedder.DeepInfoMaxEmbedder",
    "skdim._embedder.predicted_properties.PredictedProperties",
    "skdim._featurizer.featurizer.SiteNetFeaturizer",
    "skdim._heads.block_gaussian_process.BlockGaussianProcessRegressor",
    "skdim._heads.block_kernel.BlockKernel",
    "skdim._heads.feature_blocks.FeatureBlocks",
    "skdim._heads.few_labels.FewLabelsRegressor",
    "skdim._heads.label_transformation.LabelTransformation",
    "skdim._heads.regression_classifier.RegressionClassifier",
    "skdim._heads.transformed_target.AutoTransformedTargetRegressor",
    "skdim._heads.two_part.TwoPartRegressor",
    "skdim._regressor.regressor.SiteNetRegressor",
    "skdim._similarity.applicability_domain.ApplicabilityDomain",
    "skdim._similarity.nearest_crystals.NearestCrystals",
    "skdim._statistics.composition.CompositionStatistics",
    "skdim._statistics.density.DensityStatistics",
    "skdim._statistics.oxidation.OxidationStatistics",
    "skdim._statistics.structure.StructureStatistics",
    "skdim._training.callbacks.EpochBar",
    "skdim._training.callbacks.OneCycle",
    "skdim._training.callbacks._silent",  # with early_stopping
    "skdim._training.checkpoint.Checkpoint",
    "skdim._training.net.CrystalNet",
    "skdim._embedder.infomax_net.InfoMaxCriterion",
    "skdim._regressor.targets.TargetScaling",
    "skdim._regressor.weighted_loss.WeightedLoss",
    "skdim.baselines._magpie.MagpieFeatures",
    "skdim.baselines._mlip.MLIPFeatures",
    "skdim.baselines._orbital_field.OrbitalFieldMatrix",
    "skdim.baselines._xrd.XRDPattern",
    "skdim.nn.infomax.DeepInfoMax",
    "skdim.nn.sitenet.SiteNet",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.Matern",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.Sum",
    "sklearn.gaussian_process.kernels.WhiteKernel",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",  # a dict, of VotingClassifier
    "skorch.callbacks.logging.EpochTimer",
    "skorch.callbacks.logging.PrintLog",
    "skorch.callbacks.scoring.PassthroughScoring",
    "skorch.callbacks.training.EarlyStopping",
    "skorch.dataset.Dataset",
    "skorch.history.History",
    "torch.optim.adamw.AdamW",
    "torch.utils.data.dataloader.DataLoader",
)


def trusted_types() -> list[str]:
    """Types that skops files of skdim's estimators may hold.

    Pass them to ``skops.io.load``, which refuses a file that holds any other type. They cover all estimators of skdim,
    and the models that ``skdim fit`` writes. Other scikit-learn estimators in the same pipeline may need further types,
    which ``skops.io.get_untrusted_types`` lists.

    Returns
    -------
    list of str
        Names of types and functions, in alphabetical order. None of them runs code that a file contains.

    See Also
    --------
    skdim.DeepInfoMaxEmbedder.save_pretrained : Save an embedder alone, as safetensors and JSON.

    Examples
    --------
    >>> import skdim
    >>> len(skdim.trusted_types()) > 10
    True

    With skops installed, a model is saved and loaded so::

        skops.io.dump(pipeline, "pipeline.skops")
        pipeline = skops.io.load("pipeline.skops", trusted=skdim.trusted_types())
    """
    return sorted(_TYPES)
