"""From structures to :class:`skdim.Crystals`, in memory or straight to disk.

It imports from the rooms that know structures and crystals (``_structures``, ``_crystals``, ``_geometry``,
``_chemistry``, ``_shared``), and from no network.
"""
