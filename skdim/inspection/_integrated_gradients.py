"""Integrated gradients of a Site-Net with respect to the local vectors of the sites."""

from __future__ import annotations

import numpy as np
import torch

from ..nn.operations.functional import segment_sum
from ..nn.sitenet import ACTIVATIONS, vectors_of


def mean_local_vector(net, crystals, rows):
    """Mean over crystals of the mean local vector over their sites, float32 ndarray of shape (local_dim,)."""

    def compute(module, batch):
        local = module.encoder.local_mean(batch)
        return segment_sum(local, batch.site_share, batch.class_offsets, batch.crystal)

    return (
        np.concatenate(list(net.map_batches(compute, crystals, rows))).mean(axis=0, dtype=np.float64).astype(np.float32)
    )


def integrated_gradients(net, crystals, rows, baseline, target, n_steps):
    """Contributions of site classes to an output of the network, and the outputs.

    Gradients are integrated along the straight path from local vectors that all equal ``baseline`` to those of the
    crystal, by Gauss-Legendre quadrature.

    Parameters
    ----------
    net : CrystalNet
        Of a SiteNet.
    crystals : Crystals
    rows : ndarray of int of shape (k,)
    baseline : ndarray of shape (local_dim,)
    target : int
        Column of the output.
    n_steps : int
        Number of points of the quadrature.

    Returns
    -------
    contributions : ndarray of float64 of shape (n_classes,)
        One per site class of the rows, for all of its sites.
    outputs : ndarray of float64 of shape (k,)
    baseline_output : float
        Of a crystal whose local vectors all equal the baseline.
    """
    nodes, weights = np.polynomial.legendre.leggauss(n_steps)
    nodes, weights = (nodes + 1) / 2, weights / 2
    contributions, outputs, baseline_output = [], [], np.nan
    with net.inference_module() as module:
        start = torch.as_tensor(baseline, device=net.device)
        for batch in net.batches(crystals, rows):
            local = module.encoder.local_mean(batch)
            change, gradient = local - start, torch.zeros_like(local, dtype=torch.float64)
            for node, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
                with torch.enable_grad():
                    point = (start + node * change).requires_grad_()
                    output = _output(module, batch, point)[:, target].sum()
                    gradient += weight * torch.autograd.grad(output, point)[0].to(torch.float64)
            contributions.append((change.to(torch.float64) * gradient).sum(dim=1).cpu().numpy())
            outputs.append(_output(module, batch, local)[:, target].to(torch.float64).cpu().numpy())
            baseline_output = float(_output(module, batch, start.expand_as(local))[0, target])
    return np.concatenate(contributions), np.concatenate(outputs), baseline_output


def head_inputs(net, crystals):
    """Standardised inputs of the head of a SiteNet (n_crystals, width); NaN for rows that failed to featurize."""

    def compute(module, batch):
        return (module.features(batch) - module.feature_mean) / module.feature_scale

    rows = np.flatnonzero(~crystals.failed)
    vectors = np.full((len(crystals), len(net.module_.feature_mean)), np.nan)
    if len(rows):
        vectors[rows] = np.concatenate(list(net.map_batches(compute, crystals, rows)))
    return vectors


def _output(module, batch, local):
    """Output of a SiteNet (K, n_targets) from the local vectors."""
    vectors = vectors_of(module.encoder, batch, local, module.representation)
    output = module.head((vectors - module.feature_mean) / module.feature_scale)
    output = output * module.target_scale + module.target_mean
    # The gradient of "trelu" is not its slope.
    name = module.output_activation
    return torch.relu(output) if name == "trelu" else ACTIVATIONS[name](output)
