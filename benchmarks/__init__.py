"""Benchmarks, as ratios against a floor or a peer of the same run; see ``run.py``."""
