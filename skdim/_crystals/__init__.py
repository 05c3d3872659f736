"""The container of featurized crystals: its columns and their checks, and the store that keeps it on disk.

It imports only from ``_chemistry`` and ``_shared``.
"""
