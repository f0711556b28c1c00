"""Measurements that pages quote. Each is a program: ``python -m bench.recipes.measurements.NAME --help``."""
