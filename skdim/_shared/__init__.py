"""What every other room uses and that knows no crystals: files, fingerprints, processes, progress, ragged arrays.

It imports nothing else of skdim.
"""
