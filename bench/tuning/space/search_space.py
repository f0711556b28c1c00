"""The space that a study searches: the spaces of its learner, optimizers and encoders, which a request may change.

The name of a parameter begins with its owner: ``learner.width``, ``encoder.n``, and for a part of an optimizer
``adamw.lr``. If a study tries several encoders, it is ``cycle.n``, since parameters of one name of two encoders are two
parameters. ``encoder``, ``optimizer``, ``combine`` and ``sdr`` are parameters too if the request names several.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.errors import RequestError, one_of
from bench.specs import RecordingTrial, Request, canonical_optimizer, defaults_of, parts_of, registry, settable_of
from bench.tuning.space.ranges import Choices, Range, drawn_as, parse_space


@dataclass
class OverridingTrial:
    """A trial for the `suggest` of a plugin: it adds the owner to names, and overrides ranges.

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
    :param optimizers: likewise; empty where the learner's own is the only one.
    """

    option: str
    name: str
    drawn: Any
    encoders: tuple[str, ...]
    optimizers: tuple[str, ...]

    def pinned(self, number: int, others: Any) -> PinnedTrial:
        """A trial that draws this value, and for each number another encoder and optimizer."""
        named = {"encoder": self.encoders, "optimizer": self.optimizers}
        given = {name: several[number % len(several)] for name, several in named.items() if several}
        return PinnedTrial({**given, self.name: self.drawn}, others)


@dataclass(frozen=True)
class Owner:
    """Something with parameters of its own.

    :param name: the first part of their names.
    :param whose: what it is, in messages.
    :param setting: the first part of their names in a request.
    :param suggest: draws them.
    :param defaults: by parameter.
    """

    name: str
    whose: str
    setting: str
    suggest: Callable[[Any], Mapping[str, Any]]
    defaults: Mapping[str, Any]


@dataclass(frozen=True)
class SearchSpace:
    """Everything that the trials of a study may draw.

    :param encoders: names to choose from.
    :param optimizers: names to choose from; none takes the learner's own.
    :param combine: ways to combine operands to choose from; none takes the encoder's default.
    :param sdr: numbers of features to keep of a slot, or "off", to choose from; none takes the encoder's default.
    :param ranges: ranges and choices that replace those of a `suggest`, or add a parameter that it does not draw.
    :param fixed: parameters that have one value.
    :param fraction: shares of the pairs that train; None if that is not searched.
    """

    encoders: tuple[str, ...]
    learner: str
    optimizers: tuple[str, ...] = ()
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

    @property
    def parts(self) -> list[str]:
        """The parts of all optimizers by name."""
        return list(dict.fromkeys(name for optimizer in self._optimizers for name in self._parts(optimizer)))

    @property
    def _optimizers(self) -> tuple[str | None, ...]:
        """The names, or None alone for the learner's own."""
        return self.optimizers or (None,)

    def draw(self, trial: Any) -> dict[str, Any]:
        """Arguments of `bench.specs.resolve.family`, drawn by an Optuna trial or a stand-in for one."""
        encoder = _one(trial, "encoder", self.encoders)
        return self._draw_with(trial, encoder, _one(trial, "optimizer", self._optimizers))

    def describe(self) -> dict[str, str]:
        """The range or choices of each parameter in words, by name."""
        recorder = RecordingTrial()
        _one(recorder, "encoder", self.encoders)
        _one(recorder, "optimizer", self._optimizers)
        for encoder in self.encoders:
            for optimizer in self._optimizers:
                self._draw_with(recorder, encoder, optimizer)
        return recorder.ranges

    def choices(self) -> Iterator[Choice]:
        """Every choice that the request names, and both ends of its ranges."""
        for encoder in self.encoders:
            yield Choice(f"`encoder` {encoder}", "encoder", encoder, (encoder,), self.optimizers)
        for optimizer in self.optimizers:
            yield Choice(f"`optimizer` {optimizer}", "optimizer", optimizer, self.encoders, (optimizer,))
        for name, several in (("combine", self.combine), ("sdr", self.sdr)):
            for one in several:
                yield Choice(f"`{name}` {one}", name, one, self.encoders, self.optimizers)
        for share in self.fractions:
            yield Choice(f"`train_fraction` {share}", "train_fraction", share, self.encoders, self.optimizers)
        for name, wanted in self.ranges.items():
            owner = name.partition(".")[0]
            encoders = (owner,) if owner in self.encoders else self.encoders
            optimizers = tuple(one for one in self.optimizers if owner in self._parts(one)) or self.optimizers
            span = f"{wanted.low:g}..{wanted.high:g}" if isinstance(wanted, Range) else None
            for one in (wanted.low, wanted.high) if isinstance(wanted, Range) else wanted:
                yield Choice(f"`space` {name}={span or one}", name, drawn_as(one), encoders, optimizers)

    def check(self) -> None:
        """Raise RequestError if a name is not a parameter of the learner, an encoder or the task."""
        known = {"task"}
        for encoder in self.encoders:
            for optimizer in self._optimizers:
                for owner in self._owners(encoder, optimizer):
                    known.add(owner.name)
                    self._check_owned(owner)
        for name in (*self.ranges, *self.fixed):
            first, _, short = name.partition(".")
            if not short or first not in known or (first == "task" and name in self.ranges):
                owners = " or ".join(f"{one}.NAME" for one in sorted(known - {"task"}))
                raise RequestError(f"`space` and `fix` take {owners}, got {name!r}.")
        for name in self.ranges.keys() & self.fixed.keys():
            raise RequestError(f"`space` and `fix` exclude each other, got both for {name!r}.")

    def _draw_with(self, trial: Any, encoder: str, optimizer: str | None) -> dict[str, Any]:
        drawn: dict[str, Any] = {"encoder": encoder, "learner": self.learner}
        drawn |= {} if optimizer is None else {"optimizer": optimizer}
        settings = {name: value for name, value in self.fixed.items() if name.startswith("task.")}
        for owner in self._owners(encoder, optimizer):
            settings |= {f"{owner.setting}.{name}": value for name, value in self._draw_owned(trial, owner).items()}
        for name, choices in (("combine", self.combine), ("sdr", self.sdr)):
            if choices:
                drawn[name] = _one(trial, name, choices)
        if isinstance(self.fraction, Range):
            drawn["train_fraction"] = self.fraction.ask(trial, "train_fraction", 0.5)
        elif self.fraction:
            drawn["train_fraction"] = _one(trial, "train_fraction", self.fraction)
        return {**drawn, "settings": settings}

    def _draw_owned(self, trial: Any, owner: Owner) -> dict[str, Any]:
        suggesting = OverridingTrial(trial, owner.name, self.ranges, self.fixed)
        values = dict(owner.suggest(suggesting))
        for name in self._overridden(owner.name):
            if name not in suggesting.asked:
                values[name] = suggesting.override(name, owner.defaults[name])
        return values

    def _check_owned(self, owner: Owner) -> None:
        suggesting = OverridingTrial(RecordingTrial(), owner.name)
        made = owner.suggest(suggesting).keys() - suggesting.asked
        names = suggesting.asked | set(owner.defaults)
        for name in self._overridden(owner.name):
            if name in made:
                parts = ", ".join(f"{owner.name}.{part}" for part in sorted(suggesting.asked))
                raise RequestError(f"{owner.name}.{name} is made of what its space draws: name one of {parts}.")
            if name not in names:
                raise RequestError(one_of(f"parameter of the {owner.whose}:", name, names))
            wanted = self.ranges.get(f"{owner.name}.{name}")
            if isinstance(wanted, Range) and isinstance(owner.defaults.get(name), bool):
                span = f"{wanted.low:g}..{wanted.high:g}"
                raise RequestError(f"`space` {owner.name}.{name} takes true,false: it is a flag, got {span}.")

    def _overridden(self, owner: str) -> list[str]:
        names = (name.partition(".") for name in (*self.ranges, *self.fixed))
        return [short for first, _, short in names if first == owner]

    def _parts(self, optimizer: str | None) -> dict[str, Any]:
        return parts_of(registry.learner(self.learner), optimizer)

    def _owners(self, encoder: str, optimizer: str | None) -> Iterator[Owner]:
        """The encoder, the learner and the parts of the optimizer."""
        named = "encoder" if len(self.encoders) == 1 else encoder
        coded, learner = registry.encoder(encoder), registry.learner(self.learner)
        yield Owner(named, f"encoder {encoder}", "encoder", coded.suggest, defaults_of(coded))
        yield Owner("learner", f"learner {self.learner!r}", "learner", learner.suggest, defaults_of(learner))
        for name, part in self._parts(optimizer).items():
            yield Owner(name, f"optimizer {name!r}", name, part.suggest, settable_of(part))


def make_space(
    request: Request, space: Mapping[str, Any] | None = None, fix: Mapping[str, Any] | None = None, fraction: Any = None
) -> SearchSpace:
    """A space whose names are checked; its values are checked by constructors when they are drawn.

    :param request: names the learner, and the encoders, optimizers, combinations and numbers of features to choose
        from.
    :raises RequestError: if an encoder, learner or parameter is unknown, a range is empty, or a fraction is wrong.
    """
    encoders = tuple(dict.fromkeys(registry.canonical(str(name)) for name in _several(request.encoder)))
    if not encoders:
        raise RequestError("`encoder` takes one or more names, got none.")
    ranges = {name.replace("-", "_"): parse_space(name, text) for name, text in (space or {}).items()}
    fixed = {name.replace("-", "_"): value for name, value in (fix or {}).items()}
    optimizers = _once("`optimizer`", tuple(map(canonical_optimizer, _several(request.optimizer))) or None)
    combined, kept = _once("`combine`", request.combine), _once("`sdr`", request.sdr)
    shares = None if fraction is None else _shares(fraction)
    chosen = SearchSpace(encoders, registry.canonical(request.learner), optimizers, combined, kept, fraction=shares)
    # "-" and "_" are the same in a plugin's name, and "_" is a parameter's.
    named = {name.replace("-", "_"): name for name in (*encoders, *chosen.parts)}
    chosen = replace(chosen, ranges=_owned(ranges, named), fixed=_owned(fixed, named))
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
