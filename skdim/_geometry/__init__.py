"""From a cell to distances, in NumPy: lattice reduction, primitive cell, supercell, and sites that can be merged exactly.

It imports only from ``_shared``, and knows neither elements nor structures.
"""
