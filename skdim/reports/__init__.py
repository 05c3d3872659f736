"""Reports of predictions: one HTML file that needs no network, no server and no other file."""

from ._report import write_report

__all__ = ["write_report"]
