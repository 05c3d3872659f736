"""Training, shared by both estimators: batches, the skorch net, callbacks, checkpoints, devices, threads, processes.

May import ``nn``, ``_crystals``, ``_chemistry`` and ``_shared``.
"""
