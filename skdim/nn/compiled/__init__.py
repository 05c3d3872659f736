"""Operations of :mod:`skdim.nn.operations` compiled by numba: the results of plain torch, faster on a CPU.

``autograd`` has the functions that torch can differentiate, ``parallel`` shares a batch between threads, ``pair_loops``
and ``row_loops`` are the loops, ``products`` matrix products, ``row_formulas`` the arithmetic of one row. It imports
nothing else of skdim.
"""
