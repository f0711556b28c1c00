"""Packs: the records of a results folder in one compact file, which other tools can read too.

A pack is a zip archive of these members:

- ``manifest.json``: the version of the format, counts, the commit that packed, size and SHA-256 of each other member.
- ``runs.parquet``: a row for each record, sorted by id; a column for each value, named by its path (``final.step``).
- ``curves.parquet``: a row for each evaluation of each run; ``run`` is the number of the row in ``runs.parquet``.
- ``layout.json``: how rows become records again, key for key.
"""
