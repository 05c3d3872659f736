"""Scales of the site features that the networks can read: standardized, or as in the published networks."""

from __future__ import annotations

import warnings

from .._chemistry.elements import OXIDATION_FEATURE, PAPER_SITE_FEATURES, element_table

#: Factors on the units of the element table: of the network of 2025, and of that of 2023, with densities in kg/m3.
_FACTORS = {
    "2025": dict(zip(PAPER_SITE_FEATURES, (0.1, 0.1, 1.0, 1.0, 1.0, 10.0, 10.0, 1.0), strict=True)),
    "2023": {**dict.fromkeys(PAPER_SITE_FEATURES, 1.0), "density": 1000.0},
}
#: Batches contain oxidation states divided by this.
_OXIDATION_SCALE = 4.0


def input_scale(scaling, site_features):
    """Factor and offset that give each site feature of a batch the scale of a published network.

    Parameters
    ----------
    scaling : {"standardized", "2025", "2023"}
    site_features : tuple of str

    Returns
    -------
    tuple of (float, float), or None where nothing changes
    """
    if scaling == "standardized":
        return None
    factors = {**_FACTORS[scaling], OXIDATION_FEATURE: 1.0}
    result = []
    for name in site_features:
        if name == OXIDATION_FEATURE:
            result.append((_OXIDATION_SCALE, 0.0))
        elif name in factors:
            values = element_table([name], scaled=False)[1:]
            result.append((float(values.std() * factors[name]), float(values.mean() * factors[name])))
        else:
            result.append((1.0, 0.0))  # the published networks do not read it
    return tuple(result)


def warn_of_other_features(estimator, site_features, stacklevel):
    """Warn if an estimator with the scale of a published network is fitted to other features than that reads."""
    if (estimator.encoder_params or {}).get("input_scaling", "standardized") == "standardized":
        return
    features = [name for name in site_features if name != OXIDATION_FEATURE]
    if features != list(PAPER_SITE_FEATURES):
        warnings.warn(
            f"the published network reads the eight features of skdim.PAPER_SITE_FEATURES, but these crystals have "
            f"{len(features)}: {', '.join(features)}; for the published network, featurize with "
            "SiteNetFeaturizer(site_features=skdim.PAPER_SITE_FEATURES)",
            stacklevel=stacklevel,
        )
