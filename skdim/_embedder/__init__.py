"""Deep InfoMax: the pre-training estimator and its weights on disk.

May import ``_training``, ``nn``, ``_crystals``, ``_chemistry`` and ``_shared``.
"""
