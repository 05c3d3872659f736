"""Geometry of crystals in NumPy: lattice reduction, primitive cell, supercell, distances, merging of equivalent sites.

It knows neither elements nor structures and imports only ``_shared``.
"""
