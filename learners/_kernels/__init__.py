"""Products, fused layers and noise that a fleet computes with."""
