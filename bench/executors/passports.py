"""What must be equal on two machines so that a job has the same result on both: versions, plugins, the source."""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points, version
from pathlib import Path

import bench
import encoders
import learners
from bench.errors import RequestError
from bench.results import environment
from bench.specs import KINDS, canonical, registry

Passport = Mapping[str, str | None]
"""Versions by name; None of what is missing or cannot be used."""
SOURCE = "the source of mod97"
ASKED = f"__import__({__name__!r}, fromlist=['passport']).passport()"
"""The passport as an expression, which can be sent to a machine that may lack mod97."""


@cache
def passport() -> Passport:
    """The versions of this machine."""
    found = {name: number and number.partition("+")[0] for name, number in environment.versions().items()}  # "+cpu"
    found["distributed"] = version("distributed")
    for kind in KINDS:
        for name, listing in registry.listings(kind).items():
            if not listing.registered:
                found[f"the {kind} {name!r}"] = "of mod97"
        for point in entry_points(group=f"mod97.{kind}s"):
            of = f"{point.dist.name} {point.dist.version}" if point.dist else point.module
            try:
                number = getattr(getattr(registry, kind)(point.name), "version", None)
            except RequestError:
                found[f"the {kind} {canonical(point.name)!r}"] = None
            else:
                exactly = "" if number is None else f", version {number}"
                found[f"the {kind} {canonical(point.name)!r}"] = f"of {of}{exactly}"
    return {**found, SOURCE: _digest()}


def _digest() -> str:
    """A hash of the source of all packages of mod97, whose version does not tell two commits apart."""
    digest = hashlib.sha256()
    for package in (bench, encoders, learners):
        root = Path(package.__path__[0])
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{package.__name__}/{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def difference(here: Passport, there: Passport) -> str | None:
    """What another machine lacks or has otherwise, as the end of a sentence; None where it is fit."""
    for name, own in here.items():
        other = there.get(name)
        if own is not None and own != other:
            return f"lacks {name}" if other is None else f"has {name} {other}, and this machine {own}"
    return None
