"""Settings of estimators that fit in milliseconds."""

NARROW = {"site_width": 8, "pair_width": 8, "attention_hidden": 8, "value_hidden": 8, "pre_pool": (8,), "post_pool": ()}
SMALL = {"n_components": 4, "local_dim": 4, "encoder_params": NARROW, "device": "cpu", "random_state": 0}
