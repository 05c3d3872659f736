"""Commands that look through a collection of crystals: neighbours, near-duplicates, what to measure next."""
