"""XRDPattern: powder diffraction patterns on a fixed grid of angles."""

from __future__ import annotations

from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from scipy.special import ndtr
from sklearn.utils._param_validation import Interval

from ._base import StructureTransformer

#: Maximum number of points of the reciprocal lattice: pymatgen takes minutes. Cells of 10 000 sites have a million.
_MOST_POINTS = 10**7


class XRDPattern(StructureTransformer):
    """X-ray powder pattern: fractions of the diffracted intensity in bins of 2 theta.

    pymatgen computes the peaks (kinematic, no absorption, no thermal motion). Each peak is broadened to a Gaussian and
    integrated over the bins, so that features change smoothly with the lattice; rows sum to 1. ``fit`` only checks the
    parameters.

    Parameters
    ----------
    two_theta_range : tuple of two floats, default=(5.0, 90.0)
        Range of 2 theta in degrees, within 0 and 180.
    n_bins : int, default=85
        Number of equal bins.
    fwhm : float, default=8.0
        Full width at half maximum of the peaks, in degrees. Diffractometers have about 0.1, but with sharp peaks,
        similar crystals rarely have intensity in the same bins. On 1600 crystals of the Materials Project, the mean
        absolute error of a random forest for formation energies was 0.77 eV/atom with 0.5 degrees, 0.66 with 4, 0.61
        with 8 and 0.58 with 16.
    wavelength : str or float, default="CuKa"
        Name of a radiation in pymatgen's XRDCalculator, or wavelength in angstrom.
    disordered : {"raise", "majority"}, default="raise"
        What to do with a partially occupied site: raise an error, or take the species of largest occupancy.
    on_error : {"raise", "warn"}, default="raise"
        What to do if a structure has no features: raise an error, or warn and set its row to NaN.
    n_jobs : int, default=None
        Number of processes (joblib). None means 1 unless in a ``joblib.parallel_config`` context.
    verbose : int, default=0
        1 shows a progress bar; in a log file, occasional lines.

    See Also
    --------
    skdim.StructureStatistics : Statistics of sites and neighbours.

    References
    ----------
    De Graef, McHenry, Structure of Materials, Cambridge University Press 2012, chapters 11 and 12; Ong et al.,
    Computational Materials Science 2013 (pymatgen), 10.1016/j.commatsci.2012.10.028.

    Examples
    --------
    >>> from skdim.baselines import XRDPattern
    >>> from skdim.datasets import make_crystals
    >>> structures, y = make_crystals(5, random_state=0)
    >>> XRDPattern().fit_transform(structures).shape
    (5, 85)
    """

    _parameter_constraints: ClassVar = {
        **StructureTransformer._parameter_constraints,
        "two_theta_range": ["array-like"],
        "n_bins": [Interval(Integral, 1, None, closed="left")],
        "fwhm": [Interval(Real, 0, None, closed="neither")],
        "wavelength": [str, Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        *,
        two_theta_range=(5.0, 90.0),
        n_bins=85,
        fwhm=8.0,
        wavelength="CuKa",
        disordered="raise",
        on_error="raise",
        n_jobs=None,
        verbose=0,
    ) -> None:
        self.two_theta_range = two_theta_range
        self.n_bins = n_bins
        self.fwhm = fwhm
        self.wavelength = wavelength
        self.disordered = disordered
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check(self):
        super()._check()
        ends = np.asarray(self.two_theta_range)
        if ends.shape != (2,) or ends.dtype.kind not in "iuf" or not 0 <= ends[0] < ends[1] <= 180:
            raise ValueError(
                f"two_theta_range must be two ascending angles within 0 and 180 degrees; got {self.two_theta_range!r}"
            )
        if isinstance(self.wavelength, str):
            from pymatgen.analysis.diffraction.xrd import WAVELENGTHS

            if self.wavelength not in WAVELENGTHS:
                known = ", ".join(WAVELENGTHS)
                raise ValueError(f"wavelength must be a length in angstrom or one of {known}; got {self.wavelength!r}")

    def _edges(self):
        first, last = self.two_theta_range
        return np.linspace(first, last, self.n_bins + 1)

    def _function(self):
        from pymatgen.analysis.diffraction.xrd import ATOMIC_SCATTERING_PARAMS, XRDCalculator

        calculator = XRDCalculator(self.wavelength if isinstance(self.wavelength, str) else float(self.wavelength))
        edges = self._edges()
        sigma = self.fwhm / np.sqrt(8 * np.log(2))
        # Broadened peaks outside the range contribute to it.
        wide = max(0.0, edges[0] - 4 * sigma), min(180.0, edges[-1] + 4 * sigma)
        radius = 2 * np.sin(np.radians(wide[1] / 2)) / calculator.wavelength  # 1/angstrom

        none = f"no diffraction peak from {edges[0]:g} to {edges[-1]:g} degrees 2 theta: widen the range"

        def features(structure):
            for element in structure.composition.element_composition:
                if element.symbol not in ATOMIC_SCATTERING_PARAMS:
                    raise ValueError(f"pymatgen has no X-ray scattering parameters of {element}: remove the structure")
            n_points = 4 / 3 * np.pi * radius**3 * structure.volume
            if n_points > _MOST_POINTS:
                raise ValueError(
                    f"its cell of {structure.volume:.3g} cubic angstrom has about {n_points:.1g} reflections up to "
                    f"{wide[1]:.0f} degrees 2 theta, more than the maximum of {_MOST_POINTS:g}: pass a smaller cell, a "
                    "narrower two_theta_range or a longer wavelength"
                )
            try:
                peaks = calculator.get_pattern(structure, scaled=False, two_theta_range=wide)
            except (ValueError, IndexError) as error:  # pymatgen takes the maximum of no peaks
                raise ValueError(none) from error
            angles, heights = np.array(peaks.x), np.array(peaks.y)
            bins = heights @ np.diff(ndtr((edges - angles[:, None]) / sigma), axis=1)
            if not bins.sum() > 0:
                raise ValueError(none)
            return bins / bins.sum()

        return features

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns of :meth:`transform`.

        Parameters
        ----------
        input_features : object, default=None
            Ignored.

        Returns
        -------
        ndarray of str of shape (n_bins,)
            "two_theta_5.5", ...: centre of each bin, in degrees.
        """
        edges = self._edges()
        return np.array([f"two_theta_{middle:.6g}" for middle in (edges[:-1] + edges[1:]) / 2], dtype=object)
