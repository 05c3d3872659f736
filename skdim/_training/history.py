"""Training histories: one record per epoch, with the losses of its batches."""

from __future__ import annotations

from skorch.history import History

from .._shared.files import as_json


def epoch_records(history):
    """The records of a history in JSON types, without those of batches."""
    return as_json([{key: value for key, value in epoch.items() if key != "batches"} for epoch in history])


def history_of(records):
    """The history with these records."""
    return History({"batches": [], **record} for record in records)


def drop_incomplete_epoch(history):
    """Remove the record of an epoch that was interrupted: it has no loss."""
    if history and "train_loss" not in history[-1]:
        history.pop()
