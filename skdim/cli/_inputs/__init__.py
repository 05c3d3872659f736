"""From the files of a user to crystals and labels, for all commands."""
