"""Fixed statistics of crystals: composition and structure. They learn nothing.

It imports from ``_training`` (batches), ``nn``, ``_crystals``, ``_chemistry`` and ``_shared``.
"""
