"""From structures to :class:`skdim.Crystals`, in memory or on disk.

It imports the rooms for structures and crystals (``_structures``, ``_crystals``, ``_geometry``, ``_chemistry``,
``_shared``) and no networks.
"""
