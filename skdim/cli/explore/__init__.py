"""Commands that look through a collection of crystals: neighbours and near-duplicates."""
