"""Trajectories of ASE (.traj), which are binary."""

from __future__ import annotations

import io

from ..errors import ReadError, describe

_MAGIC = (b"- of UlmASE-Trajectory", b"AFFormatASE-Trajectory")


def is_trajectory(content):
    """Whether the content begins with the signature of ASE trajectories."""
    return content.startswith(_MAGIC)


def split_trajectory(content):
    """The frames, each as an Atoms with numbers, positions, cell and pbc only.

    Raises
    ------
    ReadError
        If it is damaged, or ASE is not installed.
    """
    try:
        from ase import Atoms
        from ase.io import ulm
    except ImportError:
        raise ReadError('trajectories need ase: pip install "skdim-crystals[ase]"') from None
    try:
        frames = ulm.Reader(io.BytesIO(content))
        first = frames[0]
        for k in range(len(frames)):
            frame = frames[k]
            # What does not change is written once.
            numbers, pbc = (frame.get(name, first.get(name)) for name in ("numbers", "pbc"))
            yield Atoms(numbers, frame.positions, cell=frame.cell, pbc=pbc)
    except Exception as error:
        raise ReadError(f"the trajectory is damaged ({describe(error)})") from error
