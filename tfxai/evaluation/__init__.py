"""Evaluation of methods on image files: what `tfxai evaluate` runs. For heat-maps at hand, see `tfxai.metrics`."""
