"""Sources of many rows: folders, archives, tables, databases and collections.

:func:`open_source.open_source` finds out what a path or an object is; the other modules each read one kind.
"""
