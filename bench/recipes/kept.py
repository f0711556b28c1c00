"""What a recipe keeps beside records: its searches and its observations, in one small file of JSON.

Of a search only the parameters and the objective of each trial are kept, and the ids of the winner's records. The file
lies in the results folder and, where packs are kept, beside the pack of the recipe.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
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
            if not path.exists():
                continue
            try:
                document = json.loads(read_regular(path, empty=b"{}"))
                kept.searches |= document.get("searches", {})
                kept.observed |= document.get("observed", {})
            except (ValueError, AttributeError, TypeError) as error:
                raise RequestError(f"{str(path)!r} does not hold the searches of a recipe: {error}.") from error
        return kept

    def write(self, path: Path, only: Iterable[str] | None = None) -> None:
        """Write the file whole; nothing where there is nothing to keep.

        :param only: digests, of which others are left out.
        """
        wanted = None if only is None else set(only)

        def chosen(entries: Mapping[str, Any]) -> dict[str, Any]:
            return {key: entries[key] for key in sorted(entries) if wanted is None or key in wanted}

        document = {"schema": SCHEMA, "searches": chosen(self.searches), "observed": chosen(self.observed)}
        if not document["searches"] and not document["observed"]:
            return
        with os_errors_as(RequestError, f"{str(path)!r} cannot be written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f"{path.name}.new")
            temporary.write_text(json.dumps(document, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")
            temporary.replace(path)


def digest(**of: Any) -> str:
    """Sixteen hexadecimal digits that differ where anything differs."""
    return hashlib.sha256(json.dumps(of, sort_keys=True, default=str).encode()).hexdigest()[:16]
