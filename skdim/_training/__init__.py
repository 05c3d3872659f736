"""How both estimators train: batches, the skorch net, callbacks, checkpoints, devices, threads and processes.

It imports from ``nn``, ``_crystals``, ``_chemistry`` and ``_shared``, and from no estimator.
"""
