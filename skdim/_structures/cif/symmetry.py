"""The symmetry of a CIF: listed operations, else a Hall symbol, a Hermann-Mauguin symbol or a number."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from ..errors import ReadError
from .operations import listed_group, magnetic_group
from .settings import Setting, hall_group, number_of_symbol, settings_of_number, settings_of_symbol
from .text import HALL_NAMES, MAGNETIC_GROUP_NAMES, MAGNETIC_NAMES, NUMBER_NAMES, OPERATION_NAMES, SYMBOL_NAMES


class Symmetry(NamedTuple):
    """The symmetry as a file gives it.

    Attributes
    ----------
    settings : list of Setting
        All possible settings. Listed operations come first, followed by the settings of the symbol or number if its
        group has another size.
    is_listed : bool
        Whether operations are listed.
    source : str
        The symbol or the number, for messages.
    warnings : list of str
    """

    settings: list
    is_listed: bool
    source: str
    warnings: list


def symmetry_of(tags, lattice):
    """Read the symmetry.

    Parameters
    ----------
    tags : Tags
    lattice : ndarray of shape (3, 3)

    Returns
    -------
    Symmetry

    Raises
    ------
    ReadError
        If the operations are not a group, or no operations or named setting of the file fit the cell.
    """
    magnetic = tags.operations(MAGNETIC_NAMES[0])
    if magnetic:
        group = magnetic_group(magnetic, tags.operations(MAGNETIC_NAMES[1]))
        group.check_metric(lattice)
        return Symmetry([Setting("the magnetic operations", group)], True, "", [])
    operations = tags.operations(*OPERATION_NAMES)
    if not operations:
        settings, source = _named(lattice, *_names(tags))
        if settings:
            return Symmetry(settings, False, source, [])
        name, group = tags.first(*MAGNETIC_GROUP_NAMES)
        if group is not None:
            raise ReadError(f"it gives its magnetic space group only by {name} '{group[:30]}': list the operations")
        nothing = Setting("P 1", listed_group(("x,y,z",)))
        return Symmetry([nothing], False, "P 1", ["it gives no symmetry, and is read as P 1"])
    group = listed_group(operations)
    group.check_metric(lattice)
    listed = Setting("the listed operations", group)
    names = _names(tags)
    if _sizes(*names) == {len(group)}:
        return Symmetry([listed], True, "", [])
    try:
        settings, source = _named(lattice, *names)
    except ReadError:  # the list decides
        settings, source = [], ""
    if any(len(setting.group) == len(group) for setting in settings):
        settings = []
    return Symmetry([listed, *settings], True, source, [])


def _names(tags):
    """Hall symbol, symbol, number and code of the setting."""
    names = HALL_NAMES, SYMBOL_NAMES, NUMBER_NAMES, ("_space_group_it_coordinate_system_code",)
    return tuple(tags.first(*each)[1] for each in names)


@lru_cache(maxsize=512)
def _sizes(hall, symbol, number, code):
    """Numbers of operations of the named space group in its possible settings."""
    try:
        return {len(setting.group) for settings in _candidates(hall, symbol, number, code)[0] for setting in settings}
    except ReadError:
        return set()


def _named(lattice, hall, symbol, number, code):
    """Settings of the symbols and the number that fit the cell, and the symbol or number for messages."""
    tiers, source = _candidates(hall, symbol, number, code)
    for settings in tiers:
        fitting = [setting for setting in settings if setting.group.changes_metric(lattice) is None]
        if fitting:
            return _distinct(fitting), source
    for settings in tiers:
        settings[0].group.check_metric(lattice)
    return [], ""


@lru_cache(maxsize=512)
def _candidates(hall, symbol, number, code):
    """Lists of settings, the preferred ones first, and the symbol or number for messages."""
    if hall is not None:
        setting = hall_group(hall)
        _check_agreement(setting, symbol, code)
        return [[setting]], f"the Hall symbol '{hall}'"
    tiers, source = [], f"number {number}"
    if symbol is not None:
        try:
            tiers, source = settings_of_symbol(symbol, code), f"'{symbol}'"
        except ReadError:
            if number is None:
                raise
    if tiers and number is not None and number.isdecimal() and int(number) != number_of_symbol(symbol):
        raise ReadError(f"its space group is {source}, and number {number} is another: correct one of them")
    if not tiers and number is not None:
        tiers = [settings_of_number(number)]
    return tiers, source


def _check_agreement(setting, symbol, code):
    """Refuse a Hall symbol and a Hermann-Mauguin symbol of different point groups."""
    if symbol is None:
        return
    try:
        named = settings_of_symbol(symbol, code)[0][0]
    except ReadError:  # not known: the Hall symbol decides
        return
    if named.group.n_rotations != setting.group.n_rotations:
        raise ReadError(f"its space group is '{symbol}', and its {setting.name} is of another one: correct one of them")


def _distinct(settings):
    """Settings of different operations; some are one group under two names."""
    kept: dict[frozenset, Setting] = {}
    for setting in settings:
        shifts = (setting.group.translations * 24).round().astype(int).tolist()
        rotations = setting.group.rotations.reshape(-1, 9).tolist()
        kept.setdefault(frozenset((*r, *t) for r, t in zip(rotations, shifts, strict=True)), setting)
    return list(kept.values())
