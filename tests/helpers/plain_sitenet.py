"""Reference implementation of Site-Net and of the positive term of its local Deep InfoMax loss, not optimized.

One crystal at a time, dense: every primitive site i with every supercell site j, bond vectors [x_i, x_j, e_ij] and all
layer normalizations computed in full, nothing merged or split. It shares with skdim the weights, the choice of the
supercell and the elemental table; sites and distances are from pymatgen. Slow; to be read together with the paper.
"""

from typing import NamedTuple

import numpy as np
import torch
from pymatgen.core import Lattice, Structure
from torch.nn import functional

from skdim._chemistry.elements import PAPER_SITE_FEATURES, element_table
from skdim._geometry.lattice import reduced_bases
from skdim._geometry.primitive_cell import primitive_cell
from skdim._geometry.supercell import supercell_distances, supercell_steps


class DenseCrystal(NamedTuple):
    """Atomic numbers and features of the M primitive and N supercell sites, distances (M, N), and input sites.

    Columns are the copies of the primitive cell, one after the other; column i of row i is the site itself.
    """

    numbers: torch.Tensor
    column_numbers: torch.Tensor
    features: torch.Tensor
    column_features: torch.Tensor
    distances: torch.Tensor
    site_of: np.ndarray


def dense_crystal(structure, max_sites=50, site_features=PAPER_SITE_FEATURES):
    """Primitive cell, supercell and minimum-image distances of a structure."""
    numbers = np.array([site.specie.Z for site in structure])
    cell = primitive_cell(structure.lattice.matrix, structure.frac_coords, numbers)
    m = len(cell.kinds)
    bases = reduced_bases(cell.lattice)
    steps = supercell_steps(bases[0], m, max_sites)
    # By symmetry of the lattice several supercells are equivalent: use the one of skdim.
    chosen = np.sort(supercell_distances(cell, max_sites), axis=1)
    candidates = [_supercell_distances(cell, basis, steps) for basis in bases]
    best = min(candidates, key=lambda distances: np.abs(np.sort(distances, axis=1) - chosen).max())
    column_numbers = np.tile(cell.kinds, best.shape[1] // m)
    table = element_table(site_features)
    return DenseCrystal(
        torch.from_numpy(cell.kinds),
        torch.from_numpy(column_numbers),
        torch.from_numpy(table[cell.kinds]),
        torch.from_numpy(table[column_numbers]),
        torch.from_numpy(best),
        cell.site_of,
    )


def _supercell_distances(cell, basis, steps):
    m = len(cell.kinds)
    primitive = Structure(Lattice(basis), cell.kinds, cell.coords @ cell.lattice, coords_are_cartesian=True)
    primitive.add_site_property("primitive_site", list(range(m)))
    supercell = primitive.make_supercell(steps, in_place=False)
    labels = np.array(supercell.site_properties["primitive_site"])
    # Rows are the first copies of the primitive sites; columns follow copy by copy.
    copies = np.stack([np.flatnonzero(labels == i) for i in range(m)], axis=1)
    return supercell.distance_matrix[np.ix_(copies[0], copies.ravel())]


def dense(state, name, x):
    """Linear layer, Mish, layer normalization."""
    return _normalize(functional.mish(linear(state, f"{name}.linear", x)))


def linear(state, name, x):
    return x @ state[f"{name}.weight"].T + state.get(f"{name}.bias", 0)


def stack(state, name, x):
    """Dense layers, followed by a linear layer if there is one."""
    layer = 0
    while f"{name}.{layer}.linear.weight" in state:
        x = dense(state, f"{name}.{layer}", x)
        layer += 1
    return linear(state, f"{name}.{layer}", x) if f"{name}.{layer}.weight" in state else x


def _normalize(x):
    return functional.layer_norm(x, x.shape[-1:])


def _bonds(x_i, x_j, e_ij):
    """[x_i, x_j, e_ij] for all i and j, (M, N, width)."""
    m, n = e_ij.shape[:2]
    return torch.cat([x_i[:, None].expand(m, n, -1), x_j[None].expand(m, n, -1), e_ij], dim=2)


def local_vectors(state, crystal, n_blocks, n_heads, log_coulomb=False):
    """Concatenated outputs of all attention blocks, or the output of the bottleneck if there is one, (M, width)."""
    x, column_x = crystal.features, crystal.column_features
    if "element.weight" in state:
        x = torch.cat([x, state["element.weight"][crystal.numbers]], dim=1)
        column_x = torch.cat([column_x, state["element.weight"][crystal.column_numbers]], dim=1)
    x, column_x = dense(state, "lift_site", x), dense(state, "lift_site", column_x)
    e = crystal.distances[:, :, None]
    if log_coulomb:
        e = torch.cat([e, _log_coulomb(crystal)[:, :, None]], dim=2)
    e = dense(state, "lift_pair", e)
    outputs = []
    for k in range(n_blocks):
        x, e = _attention_block(state, f"blocks.{k}", x, column_x, e, n_heads, last=k == n_blocks - 1)
        # All copies of a primitive site have the same state.
        column_x = x.repeat(column_x.shape[0] // len(x), 1)
        outputs.append(x)
    joined = torch.cat(outputs, dim=1)
    return linear(state, "bottleneck", joined) if "bottleneck.weight" in state else joined


def _attention_block(state, name, x, column_x, e, n_heads, last):
    weight = torch.cat([state[f"{name}.bond.{part}.weight"] for part in ("centre", "neighbour", "pair")], dim=1)
    hidden = functional.mish(_bonds(x, column_x, e) @ weight.T + state[f"{name}.bond.centre.bias"])
    width_w, width_a = state[f"{name}.logit.weight"].shape[1], state[f"{name}.value.weight"].shape[1]
    logits = linear(state, f"{name}.logit", _normalize(hidden[:, :, :width_w]))
    values = linear(state, f"{name}.value", _normalize(hidden[:, :, width_w : width_w + width_a]))
    attention = torch.softmax(logits, dim=1)
    heads = values.chunk(n_heads, dim=2)
    summed = [(attention[:, :, h, None] * heads[h]).sum(dim=1) for h in range(n_heads)]
    new_x = dense(state, f"{name}.site", torch.cat(summed, dim=1))
    return new_x, None if last else _normalize(hidden[:, :, width_w + width_a :])


def _log_coulomb(crystal):
    """log(Z_i Z_j / d_ij) with d in bohr, and log(Z^2.4 / 2) for a site with itself, at most 10."""
    z_i, z_j = crystal.numbers.double(), crystal.column_numbers.double()
    result = torch.empty_like(crystal.distances)
    for i in range(result.shape[0]):
        for j in range(result.shape[1]):
            d = crystal.distances[i, j]
            result[i, j] = (
                torch.log(z_i[i] * z_j[j] / (d * 1.88975437731336)) if i != j else torch.log(0.5 * z_i[i] ** 2.4)
            )
    return result.clamp(-10, 10)


def crystal_vector(state, local):
    """The crystal's vector, followed by its log-variance if there is one, from its local vectors."""
    return stack(state, "post_pool", stack(state, "pre_pool", local).mean(dim=0))


def true_local_loss(state, crystal, local, distance_power=2.0):
    """Mean over sites of softplus(-T) over the site's neighbours, pairs weighted by (d + 1)^-power."""
    hidden_weight = torch.cat([state["neighbour_score.site.weight"], state["neighbour_score.distance.weight"]], dim=1)
    m, n = crystal.distances.shape
    inputs = torch.cat([crystal.column_features[None].expand(m, n, -1), crystal.distances[:, :, None]], dim=2)
    hidden = functional.mish(inputs @ hidden_weight.T + state["neighbour_score.site.bias"])
    keys = linear(state, "neighbour_score.key", _normalize(hidden))
    queries = stack(state, "neighbour_score.query", local)
    scores = (queries[:, None] * keys).sum(dim=2)
    weights = (crystal.distances + 1) ** -distance_power
    weights = weights / weights.sum(dim=1, keepdim=True)
    return (weights * functional.softplus(-scores)).sum(dim=1).mean()
