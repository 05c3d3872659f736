"""Sources of many rows: folders, archives, tables, databases and collections.

:func:`open_source.open_source` detects the kind of a path or an object; each of the other modules reads one kind.
"""
