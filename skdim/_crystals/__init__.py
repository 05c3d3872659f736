"""The container of featurized crystals: its columns, their checks, and the stores that save it to disk.

It imports only ``_chemistry`` and ``_shared``.
"""
