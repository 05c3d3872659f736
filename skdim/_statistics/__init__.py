"""Descriptors without learning: statistics of the composition and of local environments.

May import ``_training``, ``nn``, ``_crystals``, ``_chemistry`` and ``_shared``.
"""
