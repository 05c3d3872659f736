"""Deprecation of public names: they keep working, with a FutureWarning, for two minor releases (CONTRIBUTING.md).

A name whose time is over raises an error, so that the tests of a release show what to remove.
"""

from __future__ import annotations

import functools
import warnings

from ._version import __version__

#: Number of minor releases, from the one that deprecates a name, in which it still works.
N_MINOR_RELEASES = 2


def warn_deprecated(name, *, since, instead):
    """Warn that a public name is deprecated.

    Estimators call it in ``fit`` if a deprecated parameter is not "deprecated", its default; the constructor must not
    warn.

    Parameters
    ----------
    name : str
        As users write it: "SiteNetFeaturizer(tol=...)".
    since : str
        The minor release that deprecates it: "0.2".
    instead : str
        What to use, as the end of "use ...".

    Raises
    ------
    RuntimeError
        If the release that must remove it has come.
    """
    major, minor = _release(since)
    if _release(__version__) >= (major, minor + N_MINOR_RELEASES):
        raise RuntimeError(f"{name} was deprecated in {since}: it must be removed from skdim {__version__}")
    removal = f"{major}.{minor + N_MINOR_RELEASES}"
    text = f"{name} is deprecated since skdim {since} and will be removed in {removal}: use {instead}"
    warnings.warn(text, FutureWarning, stacklevel=3)


def deprecated(*, since, instead):
    """Decorator of a deprecated function or method."""

    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            warn_deprecated(f"{function.__qualname__}()", since=since, instead=instead)
            return function(*args, **kwargs)

        return wrapper

    return decorate


def renamed_parameter(old, new, *, since):
    """Decorator of a function or method that still accepts the old name of a keyword argument."""

    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            if old in kwargs:
                name = f"{function.__qualname__}({old}=...)"
                if new in kwargs:
                    raise TypeError(f"{name} is the old name of {new}=...: pass only one of them")
                warn_deprecated(name, since=since, instead=f"{new}=...")
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return wrapper

    return decorate


def _release(version):
    """Major and minor number."""
    return tuple(int(part) for part in version.split(".")[:2])
