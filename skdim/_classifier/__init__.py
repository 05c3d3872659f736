"""The Site-Net that predicts classes: estimator, checks and weights of the classes.

May import ``_regressor``, with which it shares its base class and training, ``_embedder``, ``_training``, ``nn``,
``_crystals``, ``_chemistry`` and ``_shared``.
"""
