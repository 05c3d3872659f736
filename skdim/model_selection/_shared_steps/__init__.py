"""What models compute without learning from the labelled rows, computed once for all draws and models."""
