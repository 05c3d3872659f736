"""Deep InfoMax: the pre-training estimator, and its weights on disk.

It imports from ``_training``, ``nn``, ``_crystals``, ``_chemistry`` and ``_shared``.
"""
