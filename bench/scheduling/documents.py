"""YAML documents, as grids and recipes are written: what is not sound is one line that names the file."""

from pathlib import Path
from typing import Any

import yaml

from bench.errors import RequestError
from bench.results import read_regular

MOST_VALUES = 100_000
"""The largest number of values in a file."""
MERGED = "tag:yaml.org,2002:merge"
"""The key ``<<``, which takes over the keys of another mapping."""


def read_document(path: str | Path, what: str) -> Any:
    """What a YAML file holds; None where it is empty.

    :param what: what messages call it, as "The grid 'mine.yaml'".
    :raises RequestError: if the file cannot be read, or is no sound YAML: a key that stands twice, too.
    """
    try:
        return yaml.load(read_regular(Path(path), empty=b"").decode("utf-8-sig"), Loader=_Loader)
    except OSError as error:
        raise RequestError(f"{what} cannot be read: {error.strerror}.") from error
    except RecursionError as error:
        raise RequestError(f"{what} is nested too deeply.") from error
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError) as error:  # of values with wrong tags
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        problem = getattr(error, "problem", None) or str(error)
        raise RequestError(f"{what} is no YAML document{line}: {problem}.") from error


class _Loader(yaml.SafeLoader):
    """A YAML loader that refuses duplicate keys, and aliases that write a small text out to a large document."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.flat = set[int]()

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        if node is not None:
            _count_nodes(node, {})
        return node

    def flatten_mapping(self, node: Any) -> None:
        """Take over the keys of other mappings, once: what this one says of them itself stands beside them then."""
        if id(node) in self.flat:
            return
        self.flat.add(id(node))
        own = [key for key, _ in node.value]
        keys = [key.value if key.tag == MERGED else self.construct_object(key, deep=True) for key in own]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                mark = own[number].start_mark
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands there twice", mark)
        super().flatten_mapping(node)


def _count_nodes(node: Any, known: dict[int, int]) -> int:
    """The number of values in a node, each alias written out.

    :param known: the numbers of nodes that were counted, by their identity; 0 of those that are being counted.
    :raises yaml.YAMLError: where there are too many, or a node contains itself.
    """
    if (count := known.get(id(node))) is not None:
        if not count:
            raise yaml.constructor.ConstructorError(None, None, "an alias stands inside what it names", node.start_mark)
        return count
    known[id(node)] = 0
    inner = node.value if isinstance(node, yaml.CollectionNode) else ()
    parts = [part for one in inner for part in (one if isinstance(one, tuple) else (one,))]
    known[id(node)] = count = 1 + sum(_count_nodes(part, known) for part in parts)
    if count > MOST_VALUES:
        raise yaml.constructor.ConstructorError(
            None, None, f"with its aliases written out, it has more than {MOST_VALUES:,} values", node.start_mark
        )
    return count
