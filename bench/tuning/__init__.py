"""Tuning: a search over hyperparameters under a stopping rule, after which the winner alone is tested on the vault."""
