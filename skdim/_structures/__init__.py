"""Reads what a user holds: one row (a Structure, Atoms, dict, text or file), or a source of many rows.

The result is always a checked pymatgen Structure, or an error that names the row. It imports only from ``_chemistry``
and ``_shared``.
"""
