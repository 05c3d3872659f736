"""Reads structures: one row (a Structure, Atoms, dict, text or file), or a source of many rows.

The result is always a checked pymatgen Structure, or an error that names the row. ``read`` reads a row of any type;
``formats`` and ``cif`` read texts and files; ``sources`` opens folders, archives, tables and databases. The package
imports only from ``_chemistry`` and ``_shared``.
"""
