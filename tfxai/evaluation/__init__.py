"""What `tfxai evaluate` runs: methods compared on data whose answer is known. For heat-maps, see `tfxai.metrics`."""
