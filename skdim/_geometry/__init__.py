"""From a cell to distances, in NumPy: lattice reduction, primitive cell, supercell, merged sites.

It imports only from ``_shared``, and knows neither elements nor structures.
"""
