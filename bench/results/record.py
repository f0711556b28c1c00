"""The version of what is stored and printed."""

__all__ = ["SCHEMA"]

SCHEMA = 1
"""Of records and of the documents that --json prints. Raised when a key changes its meaning."""
