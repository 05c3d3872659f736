"""The supervised Site-Net: estimator, checks and units of the targets, transfer from a pre-trained encoder.

May import ``_embedder``, ``_training``, ``nn``, ``_crystals``, ``_chemistry`` and ``_shared``.
"""
