"""Optimizers by name, as ``grokfast-ema+adamw`` or ``muon(rest=lion)``, and in a spec, with all their parameters.

In a spec an optimizer is a mapping: its ``name``, and for each of its parts the parameters by the part's name. A part
inside another one, as the rule for what Muon leaves, is a mapping too, with a ``name`` of its own:

``{"name": "muon", "muon": {"lr": 0.02, …, "rest": {"name": "adamw", "lr": 0.001, …}}}``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from bench.errors import RequestError
from bench.specs import registry
from bench.specs.normalize import annotations, as_annotated, call_plugin, like_default, refuse_unknown
from bench.specs.parameters import defaults_of, has_optimizer, identifying
from bench.specs.suggestions import several_message
from bench.specs.values import listed, tupled
from learners import Learner

if TYPE_CHECKING:
    from learners.optim import Part

TOKEN = re.compile(r"\s*([\w-]+|[+(),=])")


@dataclass(frozen=True)
class Link:
    """A part by name, and the names of the parts inside it, by their parameters."""

    name: str
    inner: dict[str, "Link"] = field(default_factory=dict)

    def __str__(self) -> str:
        inside = ",".join(f"{parameter}={link}" for parameter, link in self.inner.items())
        return f"{self.name}({inside})" if inside else self.name


def links_of(text: str) -> list[Link]:
    """The parts that the name of an optimizer lists.

    :raises RequestError: for what is no such name.

    >>> [str(link) for link in links_of("GrokFast_EMA+muon(rest=lion)")]
    ['grokfast-ema', 'muon(rest=lion)']
    """
    if not isinstance(text, str):
        raise RequestError(f"`optimizer` takes a name, got {text!r}.")
    if "(" not in text and (several := several_message("optimizer", text)):
        raise RequestError(several)
    tokens = _tokens(text)
    found = [_link(tokens, text)]
    while tokens and tokens[0] == "+":
        tokens.pop(0)
        found.append(_link(tokens, text))
    if tokens:
        raise _malformed(text)
    return found


def canonical_optimizer(text: str) -> str:
    """The name of an optimizer in its usual form, its parts looked up.

    :raises RequestError: for an unknown part, or parts that make no chain.
    """
    parts = [(link.name, _part(link, None)) for link in links_of(text)]
    _check_order(parts)
    return "+".join(str(_link_of(name, part, type(part)())) for name, part in parts)


def _tokens(text: str) -> list[str]:
    tokens, place = [], 0
    while place < len(text.rstrip()):
        matched = TOKEN.match(text, place)
        if matched is None:
            raise _malformed(text)
        tokens.append(matched[1])
        place = matched.end()
    return tokens


def _link(tokens: list[str], text: str) -> Link:
    """One part, taken from the tokens."""
    inner: dict[str, Link] = {}
    name = _word(tokens, text)
    if tokens and tokens[0] == "(":
        while tokens.pop(0) != ")":
            parameter = _word(tokens, text).replace("-", "_")
            if parameter in inner or not tokens or tokens.pop(0) != "=":
                raise _malformed(text)
            inner[parameter] = _link(tokens, text)
            if not tokens or tokens[0] not in ",)":
                raise _malformed(text)
    return Link(registry.canonical(name), inner)


def _word(tokens: list[str], text: str) -> str:
    if not tokens or tokens[0] in "+(),=":
        raise _malformed(text)
    return tokens.pop(0)


def _malformed(text: str) -> RequestError:
    return RequestError(f"`optimizer` takes parts joined by +, as grokfast-ema+adamw or muon(rest=lion), got {text!r}.")


def own_optimizer(learner: type[Learner]) -> "dict[str, Part]":
    """The parts of a learner's own optimizer by name; empty for a learner that takes none."""
    if not has_optimizer(learner):
        return {}
    parts = cast("Any", learner).default_optimizer()
    if not isinstance(parts, list | tuple):
        raise RequestError(f"default_optimizer of {learner.__name__} must give a list of parts, got {parts!r}.")
    return {registry.name_of(part): part for part in parts}


def parts_of(learner: type[Learner], name: str | None) -> "dict[str, Part]":
    """The parts of an optimizer by name, before any setting: those of the learner's own as it sets them.

    :param name: None takes the learner's own optimizer.
    :raises RequestError: for an unknown part, parts that make no chain, or a learner that takes no optimizer.
    """
    own = own_optimizer(learner)
    if name is None:
        return own
    if not own:
        raise RequestError(f"`optimizer` does not apply to {learner.__name__}, which brings its own, got {name!r}.")
    parts = [(link.name, _part(link, own.get(link.name))) for link in links_of(name)]
    _check_order(parts)
    return dict(parts)


def _check_order(parts: "Sequence[tuple[str, Part]]") -> None:
    from learners.optim import check_order  # imports torch, as torch learners do

    call_plugin(check_order, [(name, part.kind) for name, part in parts])


def _part(link: Link, own: "Part | None") -> "Part":
    """A part before any setting, with those that its name puts inside."""
    cls = registry.optimizer(link.name)
    part = cls() if own is None else own
    for parameter, inner in link.inner.items():
        if parameter not in part.inner():
            inside = ", ".join(part.inner()) or "none"
            raise RequestError(f"{link.name} has no part {parameter!r} inside, it has {inside}.")
        part.set_params(**{parameter: _part(inner, None)})
    return part


def resolve_optimizer(
    learner: type[Learner], name: str | None, settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any] | None:
    """All parameters of an optimizer, as in a spec; None for a learner that takes none.

    :param name: of the optimizer; None takes the learner's own.
    :param settings: parameters by part and name.
    :raises RequestError: as `parts_of` does, and for parameters that a part does not have.
    """
    parts, own = parts_of(learner, name), own_optimizer(learner)
    if not parts:
        return None
    values = {one: _values(one, part, settings.get(one, {}), one) for one, part in parts.items()}
    links = [_link_of(one, part, own.get(one) or type(part)()) for one, part in parts.items()]
    return {"name": "+".join(map(str, links)), **values}


def _values(name: str, part: "Part", settings: Mapping[str, Any], place: str) -> dict[str, Any]:
    """All parameters of a part.

    :param place: what names of its parameters begin with, in messages.
    """
    cls, inner = type(part), part.inner()
    defaults = defaults_of(cls)
    nested: dict[str, dict[str, Any]] = {parameter: {} for parameter in inner}
    own: dict[str, Any] = {}
    for key, value in settings.items():
        parameter, dot, rest = key.partition(".")
        if dot and parameter in nested:
            nested[parameter][rest] = value
        else:
            own[key] = value
    refuse_unknown("optimizer", name, own, defaults)
    found: dict[str, Any] = {}
    for key, default in defaults.items():
        if key in inner:
            if key in own:
                raise RequestError(f"{place}.{key} is a part: --optimizer '{name}({key}=NAME)' names another.")
            inside = registry.name_of(inner[key])
            found[key] = {"name": inside, **_values(inside, inner[key], nested[key], f"{place}.{key}")}
        else:
            value = own.get(key, getattr(part, key))
            if isinstance(value, Mapping):
                raise RequestError(f"{place}.{key} takes a value, got {dict(value)}.")
            value = call_plugin(as_annotated, value, annotations(cls).get(key, ()))
            found[key] = call_plugin(like_default, value, default)
    return identifying(cls, found)


def _link_of(name: str, part: "Part", usual: "Part") -> Link:
    """A part with the parts inside it, those that are as usual left out."""
    inner: dict[str, Link] = {}
    for parameter, one in part.inner().items():
        other = usual.inner().get(parameter)
        known = other is not None and type(other) is type(one)
        link = _link_of(registry.name_of(one), one, other if known and other is not None else type(one)())
        if not known or link.inner:
            inner[parameter] = link
    return Link(name, inner)


def settable_of(part: "Part") -> dict[str, Any]:
    """The parameters of a part, with their values, those of parts inside it as ``rest.lr``."""
    found: dict[str, Any] = {}
    for name in defaults_of(type(part)):
        inside = part.inner().get(name)
        own = {name: getattr(part, name)} if inside is None else settable_of(inside)
        found |= own if inside is None else {f"{name}.{key}": value for key, value in own.items()}
    return found


def part_names(values: Mapping[str, Any]) -> list[str]:
    """The names of all parts of an optimizer in a spec, those inside others included."""
    names = [link.name for link in links_of(values["name"])]
    return list(dict.fromkeys([*names, *(inside for name in names for inside in _inner_names(values[name]))]))


def _inner_names(values: Mapping[str, Any]) -> Iterator[str]:
    for value in values.values():
        if isinstance(value, dict):
            yield value["name"]
            yield from _inner_names(value)


def make_optimizer(values: Mapping[str, Any]) -> "list[Part]":
    """The parts of an optimizer from a spec."""
    return [_make(link.name, values[link.name]) for link in links_of(values["name"])]


def _make(name: str, values: Mapping[str, Any]) -> "Part":
    inner = {key: _make(value["name"], value) for key, value in values.items() if isinstance(value, dict)}
    own = {key: tupled(value) for key, value in values.items() if key != "name" and key not in inner}
    return registry.optimizer(name)(**own, **inner)


def changed_parts(learner: type[Learner], values: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name of each part of an optimizer in a spec, and its parameters that are not as the learner has them."""
    for name, part in parts_of(learner, values["name"]).items():
        usual = _values(name, part, {}, name)
        yield name, dict(_differences(values[name], usual))


def _differences(values: Mapping[str, Any], usual: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{name}", one) for name, one in _differences(value, usual.get(key, {})))
        elif key != "name" and value != listed(usual.get(key)):
            yield key, value
