"""What a recipe keeps beside records: its searches and its observations, in one small file of JSON.

Of a search only the parameters and the objective of each trial are kept, and the ids of the winner's records. The file
lies in the results folder and, where packs are kept, beside the pack of the recipe.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import RequestError, os_errors_as
from bench.results import read_regular

SCHEMA = 1


@dataclass
class Kept:
    """Searches and observations of a recipe, by the digest of what they are of.

    :ivar searches: by digest of arm and search: study, trials as [parameters, objective], ids of the winner's records.
    :ivar observed: by digest of arm and seed: names and numbers that a measurement found.
    """

    searches: dict[str, dict[str, Any]] = field(default_factory=dict)
    observed: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, paths: Iterable[Path]) -> "Kept":
        """What several files hold together.

        :raises RequestError: for a file that is none of these.
        """
        kept = cls()
        for path in paths:
            if path.exists():
                kept.searches |= _part(path, "searches")
                kept.observed |= _part(path, "observed")
        return kept

    def write(self, path: Path) -> None:
        """Add to a file, which is written whole; nothing where there is nothing to keep.

        What another process has added since is kept, too.
        """
        stored = Kept.read([path])
        document = {
            "schema": SCHEMA,
            "searches": stored.searches | self.searches,
            "observed": stored.observed | self.observed,
        }
        if not document["searches"] and not document["observed"]:
            return
        with os_errors_as(RequestError, f"{str(path)!r} cannot be written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
            temporary.write_text(json.dumps(document, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")
            temporary.replace(path)


def _part(path: Path, name: str) -> dict[str, dict[str, Any]]:
    """One of the two parts of a file.

    :raises RequestError: where it does not hold one.
    """
    try:
        document = json.loads(read_regular(path, empty=b"{}"))
        schema, part = document.get("schema", SCHEMA), {key: {**one} for key, one in document.get(name, {}).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise RequestError(f"{str(path)!r} does not hold what a recipe keeps: {error}.") from error
    if schema != SCHEMA:
        raise RequestError(f"{str(path)!r} has schema {schema!r}, and this version reads {SCHEMA}.")
    return part


def digest(**of: Any) -> str:
    """Sixteen hexadecimal digits that differ where anything differs."""
    return hashlib.sha256(json.dumps(of, sort_keys=True, default=str).encode()).hexdigest()[:16]
