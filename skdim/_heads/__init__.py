"""Regressors for few labels, on tables of features: the Gaussian process with a kernel per block of columns.

May import no other room.
"""
