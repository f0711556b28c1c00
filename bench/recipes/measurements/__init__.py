"""Longer measurements behind numbers in the README: scripts, not tests."""
