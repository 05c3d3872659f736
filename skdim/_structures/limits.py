"""Limits on what is read, so that no file takes hours or all memory."""

#: Characters of a file, after decompression, or of a text. A CIF of 10 000 sites has a million.
MAX_SIZE = 64 * 2**20
#: Sites of an input cell; reading a CIF and searching for the primitive cell compare each site with each.
MAX_SITES = 10_000
#: Occupancies this close to one are rounded to one.
OCCUPANCY_TOL = 1e-3
