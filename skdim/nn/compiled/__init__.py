"""The operations of the networks, compiled by numba: they give what the plain torch path gives, faster on a CPU.

It imports nothing else of skdim. Nothing outside ``nn`` needs to read it.
"""
