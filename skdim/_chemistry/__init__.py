"""The elements and their properties, oxidation states, and reduced formulas.

It imports only from ``_shared``.
"""
