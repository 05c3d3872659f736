"""The networks: torch modules and pure functions that know nothing of structures, scikit-learn or skorch.

A batch of crystals is flat: site classes one after the other, each with its distinct pairs in one run, so that no
padding exists. Shapes in these files: K crystals, C site classes, P pairs, F site features, H heads.
"""
