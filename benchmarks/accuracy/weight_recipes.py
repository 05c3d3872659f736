"""Recipes of pre-trained weights: trainings with tools/train_weights.py, each from the weights of the one before."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace

from .rattled import DENSITIES, GEOMETRY
from .teacher import PREFIX


@dataclass(frozen=True)
class Stage:
    """One training: the names of its tables, the number of epochs, parameters of DeepInfoMaxEmbedder, and properties.

    ``properties`` are arguments of ``--properties``; without any, the stage needs no labels.
    """

    name: str
    tables: tuple
    epochs: int
    params: dict = field(default_factory=dict)
    properties: tuple = ()

    def without(self, names):
        """The stage without the properties of these names."""
        return replace(self, properties=tuple(p for p in self.properties if p.partition("=")[0] not in names))


def key_of(stages):
    """A name of the weights after these stages, which changes with any of them."""
    text = json.dumps([asdict(stage) for stage in stages], sort_keys=True)
    return f"{stages[-1].name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


COMPUTED = (
    "formation_energy=formation_energy_per_atom",
    "band_gap=band_gap",
    "log10_bulk_modulus=log10:k_vrh_mp",
    "log10_shear_modulus=log10:g_vrh_mp",
    "heat_capacity=cv300_atom_alex",
    "formation_energy_optb88=e_form_jarvis",
    "log10_bulk_modulus_optb88=log10:k_v_jarvis",
    "log10_shear_modulus_optb88=log10:g_v_jarvis",
    "heat_capacity_optb88=cv300_atom_jarvis",
)
#: What the table of the teacher adds: energies and magnetic moments, and vectors of crystals.
_SCALARS = tuple(
    f"teacher_{name.replace(' ', '_')}={PREFIX}{name}"
    for name in ("energy per atom", "std site energy", "mean magnetic moment", "std magnetic moment")
)
_TEACHER = {
    "scalars": _SCALARS,
    "vectors and scalars": (*_SCALARS, *(f"teacher_{k}={PREFIX}crystal {k}" for k in range(64))),
}

_STRUCTURES = ("mp_megnet", "mp_labelled")
_LABELLED = ("mp_megnet", "properties")
_TASKS_OFF = {"objective": None, "descriptor_weight": 0}
INFOMAX = Stage("infomax", _STRUCTURES, 8)
RADIAL = Stage("radial", _STRUCTURES, 8, {"objective": None, "radial_weight": 10.0})
PROPERTIES = Stage("properties", _LABELLED, 12, _TASKS_OFF, COMPUTED)


def changed(stage, tables=(), properties=(), epochs=None, **params):
    """A stage with further tables and properties, another number of epochs and other parameters."""
    return replace(
        stage,
        tables=(*stage.tables, *tables),
        properties=(*stage.properties, *properties),
        epochs=epochs or stage.epochs,
        params={**stage.params, **params},
    )


def from_structures(**changes):
    """The recipe of the weights "properties" with changes of its last stage."""
    return INFOMAX, RADIAL, changed(PROPERTIES, **changes)


def encoder(**params):
    """The recipe of the weights "properties" with other parameters of the encoder in all stages."""
    return tuple(changed(stage, **params) for stage in (INFOMAX, RADIAL, PROPERTIES))


def before_properties(table, properties, epochs):
    """The recipe of the weights "properties" with a stage before the last, which learns from another table."""
    return INFOMAX, RADIAL, Stage(table, (table,), epochs, _TASKS_OFF, properties), PROPERTIES


#: The included weights; the first is what others are compared with.
RECIPES = {
    "properties": (INFOMAX, RADIAL, PROPERTIES),
    "structures": (INFOMAX, RADIAL),
    "properties, 24 epochs": from_structures(epochs=24),
    "properties, 30 epochs": from_structures(epochs=30),
    **{
        f"InfoNCE beside properties, property_weight {weight:g}": from_structures(
            objective="infonce", property_weight=weight
        )
        for weight in (1.0, 10.0)
    },
    **{
        f"radial statistics with weight {weight:g} in structures": (
            INFOMAX,
            changed(RADIAL, radial_weight=weight),
            PROPERTIES,
        )
        for weight in (3.0, 30.0)
    },
    "two blocks": encoder(n_blocks=2),
    "two heads": encoder(n_heads=2),
    "from random weights": (PROPERTIES,),
    "from random weights, two blocks": (changed(PROPERTIES, n_blocks=2),),
    "from random weights, two heads": (changed(PROPERTIES, n_heads=2),),
    **{
        f"teacher's {name} beside properties": from_structures(tables=("teacher",), properties=columns)
        for name, columns in _TEACHER.items()
    },
    "teacher's vectors and scalars before properties": before_properties("teacher", _TEACHER["vectors and scalars"], 8),
    "denoising before properties": before_properties("rattled", GEOMETRY + DENSITIES, 8),
}
