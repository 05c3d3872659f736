"""Regressors for few labels, on tables of features.

May import no other room.
"""
