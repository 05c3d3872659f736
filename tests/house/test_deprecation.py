"""Deprecated names work, with a warning, for two minor releases."""

import inspect
import warnings

import pytest

from skdim import _deprecation as deprecation
from skdim._deprecation import deprecated, renamed_parameter, warn_deprecated


@pytest.fixture(params=["0.4.0", "0.5.0.dev1", "0.5.3"])
def version(request, monkeypatch):
    """Releases in which what 0.4 deprecates still works."""
    monkeypatch.setattr(deprecation, "__version__", request.param)


@deprecated(since="0.4", instead="area()")
def surface(width, height=1):
    """Area."""
    return width * height


@renamed_parameter("length", "width", since="0.4")
def area(width, *, height=1):
    return width * height


def test_deprecated_functions_work_and_warn(version):
    match = r"^surface\(\) is deprecated since skdim 0.4 and will be removed in 0.6: use area\(\)$"
    with pytest.warns(FutureWarning, match=match) as caught:
        assert surface(2, height=3) == 6
    assert caught[0].filename == __file__
    assert surface.__doc__ == "Area."
    assert list(inspect.signature(surface).parameters) == ["width", "height"]


def test_renamed_parameters_work_and_warn(version):
    with pytest.warns(FutureWarning, match=r"^area\(length=...\) is deprecated .* in 0.6: use width=...$"):
        assert area(length=2, height=3) == 6
    with pytest.raises(TypeError, match=r"is the old name of width=\.\.\.: pass only one"):
        area(width=2, length=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert area(2) == area(width=2) == 2


@pytest.mark.parametrize("release", ["0.6.0", "0.6.0.dev0", "0.7.1", "1.0.0"])
def test_names_whose_time_is_over_are_errors(release, monkeypatch):
    monkeypatch.setattr(deprecation, "__version__", release)
    with pytest.raises(RuntimeError, match=f"deprecated in 0.4: it must be removed from skdim {release}"):
        warn_deprecated("x", since="0.4", instead="y")
    with pytest.raises(RuntimeError, match="must be removed"):
        area(length=2)
