"""Which crystals are alike: neighbours in the embedding, near-duplicates, and the domain of a training set.

May import ``_statistics``, ``_embedder``, ``_crystals``, ``_structures``, ``_chemistry`` and ``_shared``.
"""
