"""The supervised Site-Net: labels, training from scratch, and transfer from a pre-trained network.

It imports from ``_embedder``, ``_training``, ``nn``, ``_crystals``, ``_chemistry`` and ``_shared``.
"""
