"""The networks: torch modules and pure functions, independent of structures, scikit-learn and skorch.

The encoder (``encoder``, ``attention``, ``layers``); Deep InfoMax (``infomax``, ``scores``, ``losses``,
``descriptors``, ``adversaries``, ``sampling``); the supervised network (``sitenet``). Costly operations are in
``operations``, in plain torch, and in ``compiled``, by numba. It imports no other folder of skdim.

A batch of crystals is flat and has no padding: site classes one after the other, and their distinct pairs likewise.
Shapes in these files: K crystals, C site classes, P pairs, F site features, H heads.
"""
