"""Helpers for all other rooms: files, locks, headers, fingerprints, processes, progress and ragged arrays.

It imports no other room of skdim and knows nothing about crystals.
"""
