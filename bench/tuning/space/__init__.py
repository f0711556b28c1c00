"""WING."""
