"""Which crystals to measure next.

May import ``_heads``, ``_similarity``, ``_featurizer``, ``_statistics``, ``_crystals``, ``_chemistry`` and ``_shared``.
"""
