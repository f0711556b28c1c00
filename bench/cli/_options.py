"""Options that several commands share, and completion of their values. Imports nothing heavy."""

import ast
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from bench.specs import Option, options

FLAGS = {"at_once": "--round", "settings": "--set"}
"""Options that are not named as their fields."""

F = TypeVar("F", bound=Callable[..., Any])


def _set_debug(context: click.Context, option: click.Parameter, value: bool) -> None:
    if value and context.obj is not None:
        context.obj["debug"] = True


def debug_option(command: F) -> F:
    """``--debug``."""
    return click.option(
        "--debug", is_flag=True, expose_value=False, callback=_set_debug, help="Show where an error comes from."
    )(command)


def json_option(command: F) -> F:
    """``--json``."""
    return click.option("as_json", "--json", is_flag=True, help="Print one JSON document; all else goes to stderr.")(
        command
    )


def quiet_option(command: F) -> F:
    """``--quiet``."""
    return click.option("--quiet", is_flag=True, help="Show no progress.")(command)


def verbose_option(command: F) -> F:
    """``--verbose``."""
    return click.option("--verbose", is_flag=True, help="Name the settings that are at their defaults, too.")(command)


def results_option(command: F) -> F:
    """``--results``."""
    return click.option(
        "--results",
        default="results",
        show_default=True,
        metavar="DIR",
        type=click.Path(file_okay=False),
        help="The results folder.",
    )(command)


def as_options(text: str) -> str:
    """A message with fields as the command line writes them: the library marks them, and knows no dashes.

    >>> as_options("`train_fraction` must be in (0, 1), got 30.")
    '--train-fraction must be in (0, 1), got 30.'
    """
    return re.sub(r"`([\w.]+)`", _as_option, text)


def _as_option(found: "re.Match[str]") -> str:
    """The option of a field; a parameter of an owner is written as it is, as in ``--set``."""
    name = found[1]
    return name if "." in name else FLAGS.get(name, f"--{name.replace('_', '-')}")


class Given(click.ParamType):
    """The value of an option, or several with commas; an error says what may have been meant.

    :param takes: makes a value from its text.
    :param rule: what the text must be, where that is not an integer or a number.
    :param share: whether it is a share of the pairs, in (0, 1).
    :param several: whether it takes several.
    :param swept: whether it takes one, and `sweep` several.
    """

    def __init__(
        self,
        takes: Callable[[str], Any],
        rule: str = "",
        share: bool = False,
        several: bool = False,
        swept: bool = False,
    ):
        self.takes, self.share, self.several, self.swept = takes, share, several, swept
        self.rule = rule or {int: "an integer", float: "a number"}.get(takes, "a name")  # type: ignore[call-overload]
        self.name = {int: "integer", float: "float"}.get(takes, "text")  # type: ignore[call-overload]

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """The value, a list of values, or "all"."""
        if not isinstance(value, str):
            return value
        field = (parameter and parameter.name) or "it"
        if not self.several:
            return self._one(value, field)
        parts = parted(value) or []
        return "all" if parts == ["all"] else [self._one(part, field) for part in parts or [""]]

    def _one(self, text: str, field: str) -> Any:
        try:
            return self.takes(text)
        except ValueError:
            from bench.errors import RequestError
            from bench.specs import for_several, share_hint, written_out

            if self.swept and (several := for_several(field, text)):
                raise RequestError(several) from None
            hint = share_hint(text) if self.share else written_out(text) if self.takes is int else "."
            raise RequestError(f"`{field}` must be {self.rule}, got {text!r}{hint}") from None


def options_of(
    fields: type,
    names: Collection[str] = (),
    *,
    several: Collection[str] = (),
    fixed: bool = True,
    **changed: Mapping[str, Any],
) -> Callable[[F], F]:
    """The options of the fields of a request, in their order.

    :param names: of the fields; none takes all.
    :param several: fields that take several values with commas.
    :param fixed: whether a field that is not given has its default; else it is None, and help names the default.
    :param changed: what a command says otherwise of a field, as arguments of `click.option`.
    """

    def decorate(command: F) -> F:
        chosen = {name: it for name, it in options(fields).items() if not names or name in names}
        for name, (option, default) in reversed(chosen.items()):
            own: dict[str, Any] = {"help": option.help, "shell_complete": _completer(option)}
            if option.takes is bool:
                own |= {"is_flag": True} if fixed else {"is_flag": True, "default": None}
            elif name in several:
                own |= {"type": Given(option.takes, option.rule, option.share, several=True), "metavar": "A,B"}
            else:
                own["type"] = Given(option.takes, option.rule, option.share, swept=option.several)
                own["metavar"] = option.metavar or "|".join(option.words) or None
            otherwise = option.otherwise
            if default is MISSING:
                own["required"] = fixed
            elif default is not None and option.takes is not bool:
                own |= {"default": default, "show_default": True} if fixed else {}
                otherwise = "" if fixed else str(default)
            own |= changed.get(name, {})
            if otherwise and not {"default", "help"} & changed.get(name, {}).keys():
                own["help"] += f"  [default: {as_options(otherwise)}]"
            flags = (name, option.flag) if option.flag else (f"--{name.replace('_', '-')}",)
            command = click.option(*flags, **own)(command)
        return command

    return decorate


def _completer(option: Option) -> Callable[..., list[CompletionItem]] | None:
    return name_completer(option.plugin) if option.plugin else words(*option.words) if option.words else None


def words(*known: str) -> Callable[..., list[CompletionItem]]:
    """Complete one of some words."""
    return lambda context, parameter, incomplete: [CompletionItem(w) for w in known if w.startswith(incomplete)]


def name_completer(kind: Any) -> Callable[..., list[CompletionItem]]:
    """Complete names of encoders, learners or tasks, with their summaries."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from bench.specs import canonical, listings

        found = listings(kind).values()
        begun = canonical(incomplete)
        return [CompletionItem(item.name, help=item.summary) for item in found if item.name.startswith(begun)]

    return complete


def complete_settings(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete ``--set``: the parameters of the encoder, learner and task chosen so far."""
    from bench.errors import BenchError
    from bench.specs import registry, settable

    found = []
    for kind in registry.KINDS:
        name = context.params.get(kind)
        if not name:
            continue
        try:
            maker = getattr(registry, kind)(name)
        except BenchError:
            continue
        for key, default in settable(kind, maker).items():
            if f"{kind}.{key}=".startswith(incomplete):
                found.append(CompletionItem(f"{kind}.{key}=", help=f"default {default!r}"))
    return found


def record_completer(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete ids of the records in the results folder."""
    from bench.errors import BenchError
    from bench.results import Store

    try:
        ids = Store(context.params.get("results") or "results").ids()
    except BenchError:
        return []
    return [CompletionItem(id) for id in ids if id.startswith(incomplete)]


def parse_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    """``("learner.alpha=1e-3", "learner.hidden_layer_sizes=400,200")`` as values by name."""
    from bench.errors import RequestError

    parsed = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not text:
            raise RequestError(f"--set takes OWNER.NAME=VALUE, got {setting!r}.")
        parsed[key.strip()] = parse_value(text.strip())
    return parsed


def parse_value(text: str) -> Any:
    """A number, None, a truth value, a list with commas, or else the text itself.

    >>> [parse_value(t) for t in ("400,200", "1e-3", "off", "true", "none", "relu")]
    [(400, 200), 0.001, 'off', True, None, 'relu']
    """
    words = {"none": None, "null": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


settings_option = click.option(
    "settings",
    "--set",
    multiple=True,
    metavar="OWNER.NAME=VALUE",
    shell_complete=complete_settings,
    help="A parameter: encoder.n=400, learner.hidden_layer_sizes=400,200, task.operand_max=200. Repeatable.",
)
device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda[:i]",
    shell_complete=words("auto", "cpu", "cuda"),
    help="Where to train.",
)


def parted(text: str | None) -> list[str] | None:
    """What stands between commas, except those in brackets."""
    if text is None:
        return None
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]
