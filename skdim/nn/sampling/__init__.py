"""Random negative samples and noise of Deep InfoMax: what is drawn in a training step, and how."""
