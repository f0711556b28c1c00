"""The space that a study searches: the spaces of its learner and encoders, which a request may narrow or widen.

The name of a parameter begins with its owner: ``learner.lr``, ``encoder.n``. If a study tries several encoders, it is
``cycle.n``, since parameters of one name of two encoders are two parameters. ``encoder``, ``combine`` and ``sdr`` are
parameters too if the request names several.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.errors import RequestError, one_of
from bench.specs import RecordingTrial, Request, defaults_of, registry
from bench.tuning.space.ranges import Choices, Range, drawn_as, parse_space


@dataclass
class OverridingTrial:
    """A trial for the `suggest` of a learner or encoder: it adds the owner to names, and overrides ranges.

    :param trial: draws the values.
    :param owner: the first part of the parameters' names.
    :param ranges: ranges and choices that override those of `suggest`, by full name.
    :param fixed: values that need not be drawn, by full name.
    :ivar asked: the names that `suggest` has asked for.
    """

    trial: Any
    owner: str
    ranges: Mapping[str, Range | Choices] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> Any:
        """A number, unless the parameter is overridden."""
        if self._is_overridden(name):
            return self.override(name, low + 0.0)
        return self.trial.suggest_float(f"{self.owner}.{name}", low, high, step=step, log=log)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Any:
        """An integer, unless the parameter is overridden."""
        if self._is_overridden(name):
            return self.override(name, low)
        return self.trial.suggest_int(f"{self.owner}.{name}", low, high, step=step, log=log)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices, unless the parameter is overridden."""
        if self._is_overridden(name):
            return self.override(name, choices[0])
        return self.trial.suggest_categorical(f"{self.owner}.{name}", choices)

    def override(self, name: str, like: Any) -> Any:
        """The fixed value of a parameter, or one from the range or choices that override its own.

        :param like: a value of the parameter's own type.
        """
        full = f"{self.owner}.{name}"
        if full in self.fixed:
            return self.fixed[full]
        wanted = self.ranges[full]
        if isinstance(wanted, Range):
            return wanted.ask(self.trial, full, like)
        drawn = self.trial.suggest_categorical(full, list(map(drawn_as, wanted)))
        return {drawn_as(choice): choice for choice in wanted}[drawn]

    def _is_overridden(self, name: str) -> bool:
        self.asked.add(name)
        full = f"{self.owner}.{name}"
        return full in self.fixed or full in self.ranges


@dataclass(frozen=True)
class PinnedTrial:
    """A trial with given values of some parameters; another trial draws the others."""

    given: Mapping[str, Any]
    others: Any

    def suggest_float(self, name: str, *where: Any, **how: Any) -> float:
        """A number."""
        return float(self.given[name] if name in self.given else self.others.suggest_float(name, *where, **how))

    def suggest_int(self, name: str, *where: Any, **how: Any) -> int:
        """An integer."""
        return int(self.given[name] if name in self.given else self.others.suggest_int(name, *where, **how))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        return self.given[name] if name in self.given else self.others.suggest_categorical(name, choices)


@dataclass(frozen=True)
class Choice:
    """One value that a request allows a parameter to have.

    :param option: the option that names it.
    :param name: the parameter, as a trial names it.
    :param drawn: the value, as a trial draws it.
    :param encoders: the encoders with which it can be drawn.
    """

    option: str
    name: str
    drawn: Any
    encoders: tuple[str, ...]

    def pinned(self, number: int, others: Any) -> PinnedTrial:
        """A trial that draws this value, and for each number another encoder."""
        encoder = self.encoders[number % len(self.encoders)]
        return PinnedTrial({"encoder": encoder, self.name: self.drawn}, others)


@dataclass(frozen=True)
class SearchSpace:
    """Everything that the trials of a study may draw.

    :param encoders: names to choose from.
    :param combine: ways to combine operands to choose from; none takes the encoder's default.
    :param sdr: numbers of features to keep of a slot, or "off", to choose from; none takes the encoder's default.
    :param ranges: ranges and choices that replace those of a `suggest`, or add a parameter that it does not draw.
    :param fixed: parameters that have one value.
    :param fraction: shares of the pairs that train; None if that is not searched.
    """

    encoders: tuple[str, ...]
    learner: str
    combine: tuple[str, ...] = ()
    sdr: tuple[int | str, ...] = ()
    ranges: Mapping[str, Range | Choices] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    fraction: Range | Choices | None = None

    @property
    def fractions(self) -> tuple[float, ...]:
        """Shares of the pairs that train: both ends of the range, or all choices; empty if that is not searched."""
        wanted = self.fraction
        return (wanted.low, wanted.high) if isinstance(wanted, Range) else wanted or ()

    def draw(self, trial: Any) -> dict[str, Any]:
        """Arguments of `bench.specs.resolve.family`, drawn by an Optuna trial or a stand-in for one."""
        return self._draw_with(trial, _one(trial, "encoder", self.encoders))

    def describe(self) -> dict[str, str]:
        """The range or choices of each parameter in words, by name."""
        recorder = RecordingTrial()
        _one(recorder, "encoder", self.encoders)
        for encoder in self.encoders:
            self._draw_with(recorder, encoder)
        return recorder.ranges

    def choices(self) -> Iterator[Choice]:
        """Every choice that the request names, and both ends of its ranges."""
        for encoder in self.encoders:
            yield Choice(f"`encoder` {encoder}", "encoder", encoder, (encoder,))
        for name, several in (("combine", self.combine), ("sdr", self.sdr)):
            for one in several:
                yield Choice(f"`{name}` {one}", name, one, self.encoders)
        for share in self.fractions:
            yield Choice(f"`train_fraction` {share}", "train_fraction", share, self.encoders)
        for name, wanted in self.ranges.items():
            owner = name.partition(".")[0]
            encoders = (owner,) if owner in self.encoders else self.encoders
            span = f"{wanted.low:g}..{wanted.high:g}" if isinstance(wanted, Range) else None
            for one in (wanted.low, wanted.high) if isinstance(wanted, Range) else wanted:
                yield Choice(f"`space` {name}={span or one}", name, drawn_as(one), encoders)

    def check(self) -> None:
        """Raise RequestError if a name is not a parameter of the learner, an encoder or the task."""
        known = {"task"}
        for encoder in self.encoders:
            for owner, kind, cls in self._owners(encoder):
                known.add(owner)
                self._check_owned(owner, f"{kind} {encoder if kind == 'encoder' else self.learner!r}", cls)
        for name in (*self.ranges, *self.fixed):
            owner, _, short = name.partition(".")
            if not short or owner not in known or (owner == "task" and name in self.ranges):
                owners = " or ".join(f"{owner}.NAME" for owner in sorted(known - {"task"}))
                raise RequestError(f"`space` and `fix` take {owners}, got {name!r}.")
        for name in self.ranges.keys() & self.fixed.keys():
            raise RequestError(f"`space` and `fix` exclude each other, got both for {name!r}.")

    def _draw_with(self, trial: Any, encoder: str) -> dict[str, Any]:
        drawn: dict[str, Any] = {"encoder": encoder, "learner": self.learner}
        settings = {name: value for name, value in self.fixed.items() if name.startswith("task.")}
        for owner, kind, cls in self._owners(encoder):
            settings |= {f"{kind}.{name}": value for name, value in self._draw_owned(trial, owner, cls).items()}
        for name, choices in (("combine", self.combine), ("sdr", self.sdr)):
            if choices:
                drawn[name] = _one(trial, name, choices)
        if isinstance(self.fraction, Range):
            drawn["train_fraction"] = self.fraction.ask(trial, "train_fraction", 0.5)
        elif self.fraction:
            drawn["train_fraction"] = _one(trial, "train_fraction", self.fraction)
        return {**drawn, "settings": settings}

    def _draw_owned(self, trial: Any, owner: str, cls: type) -> dict[str, Any]:
        suggesting = OverridingTrial(trial, owner, self.ranges, self.fixed)
        values = dict(cls.suggest(suggesting))  # type: ignore[attr-defined]
        for name in self._overridden(owner):
            if name not in suggesting.asked:
                values[name] = suggesting.override(name, defaults_of(cls)[name])
        return values

    def _check_owned(self, owner: str, whose: str, cls: type) -> None:
        suggesting = OverridingTrial(RecordingTrial(), owner)
        made = cls.suggest(suggesting).keys() - suggesting.asked  # type: ignore[attr-defined]
        names = suggesting.asked | set(defaults_of(cls))
        for name in self._overridden(owner):
            if name in made:
                parts = ", ".join(f"{owner}.{part}" for part in sorted(suggesting.asked))
                raise RequestError(f"{owner}.{name} is made of what its space draws: name one of {parts}.")
            if name not in names:
                raise RequestError(one_of(f"parameter of the {whose}:", name, names))
            wanted = self.ranges.get(f"{owner}.{name}")
            if isinstance(wanted, Range) and isinstance(defaults_of(cls).get(name), bool):
                span = f"{wanted.low:g}..{wanted.high:g}"
                raise RequestError(f"`space` {owner}.{name} takes true,false: it is a flag, got {span}.")

    def _overridden(self, owner: str) -> list[str]:
        names = (name.partition(".") for name in (*self.ranges, *self.fixed))
        return [short for first, _, short in names if first == owner]

    def _owners(self, encoder: str) -> list[tuple[str, str, type]]:
        """The first part of parameters' names, with its kind and class."""
        named = "encoder" if len(self.encoders) == 1 else encoder
        found = registry.encoder(encoder), registry.learner(self.learner)
        return [(named, "encoder", found[0]), ("learner", "learner", found[1])]


def make_space(
    request: Request, space: Mapping[str, Any] | None = None, fix: Mapping[str, Any] | None = None, fraction: Any = None
) -> SearchSpace:
    """A space whose names are checked; its values are checked by constructors when they are drawn.

    :param request: names the learner, and the encoders, combinations and numbers of features to choose from.
    :raises RequestError: if an encoder, learner or parameter is unknown, a range is empty, or a fraction is wrong.
    """
    encoders = tuple(dict.fromkeys(registry.canonical(str(name)) for name in _several(request.encoder)))
    if not encoders:
        raise RequestError("`encoder` takes one or more names, got none.")
    ranges = {name.replace("-", "_"): parse_space(name, text) for name, text in (space or {}).items()}
    fixed = {name.replace("-", "_"): value for name, value in (fix or {}).items()}
    # "-" and "_" are the same in an encoder's name, and "_" is a parameter's.
    named = {name.replace("-", "_"): name for name in encoders}
    ranges, fixed = (_owned(values, named) for values in (ranges, fixed))
    combined, kept = _once("`combine`", request.combine), _once("`sdr`", request.sdr)
    shares = None if fraction is None else _shares(fraction)
    chosen = SearchSpace(encoders, registry.canonical(request.learner), combined, kept, ranges, fixed, shares)
    chosen.check()
    return chosen


def _shares(fraction: Any) -> Range | Choices:
    option = "`train_fraction`"
    wanted = parse_space("train_fraction", fraction, option)
    for share in (wanted.low, wanted.high) if isinstance(wanted, Range) else wanted:
        if not isinstance(share, int | float) or not 0 < share < 1:
            raise RequestError(f"{option} takes numbers in (0, 1), got {share!r}.")
    return wanted


def _owned(values: Mapping[str, Any], named: Mapping[str, str]) -> dict[str, Any]:
    parts = ((name.partition("."), value) for name, value in values.items())
    return {f"{named.get(owner, owner)}{dot}{short}": value for (owner, dot, short), value in parts}


def _several(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str | int) else tuple(value)


def _once(option: str, value: Any) -> tuple[Any, ...]:
    several = _several(value)
    if value is not None and not several:
        raise RequestError(f"{option} takes one or more choices A,B, got none.")
    if len(set(map(str, several))) < len(several):
        raise RequestError(f"{option} takes each choice once, got {','.join(map(str, several))}.")
    return several


def _one(trial: Any, name: str, choices: Sequence[Any]) -> Any:
    return choices[0] if len(choices) == 1 else trial.suggest_categorical(name, list(choices))
