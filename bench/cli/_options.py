"""Options that several commands share, and completion of their values. Imports nothing heavy."""

import ast
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

__all__ = [
    "Number",
    "complete_settings",
    "debug_option",
    "device_option",
    "json_option",
    "name_completer",
    "parse_settings",
    "quiet_option",
    "record_completer",
    "results_option",
    "settings_option",
    "verbose_option",
    "words",
]

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


class Number(click.ParamType):
    """A number of an option that takes one; says what may have been meant by what is none.

    :param kind: int or float.
    :param share: of pairs, in (0, 1).
    :param swept: whether `sweep` takes several.
    """

    def __init__(self, kind: type[int] | type[float], share: bool = False, swept: bool = False) -> None:
        self.kind, self.share, self.swept = kind, share, swept
        self.name = "integer" if kind is int else "float"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """The number."""
        try:
            return self.kind(value)
        except ValueError:
            from bench.errors import RequestError
            from bench.specs.hints import for_several, share_hint, written_out

            option = "--" + (parameter.name or "").replace("_", "-") if parameter else "it"
            if self.swept and (several := for_several(option, value)):
                raise RequestError(several) from None
            what = "an integer" if self.kind is int else "a number"
            hint = share_hint(value) if self.share else written_out(value) if self.kind is int else "."
            raise RequestError(f"{option} must be {what}, got {value!r}{hint}") from None


def words(*known: str) -> Callable[..., list[CompletionItem]]:
    """Complete one of some words."""
    return lambda context, parameter, incomplete: [CompletionItem(w) for w in known if w.startswith(incomplete)]


def name_completer(kind: Any) -> Callable[..., list[CompletionItem]]:
    """Complete names of encoders, learners or tasks, with their summaries."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from bench.specs.registry import canonical, listings

        found = listings(kind).values()
        begun = canonical(incomplete)
        return [CompletionItem(item.name, help=item.summary) for item in found if item.name.startswith(begun)]

    return complete


def complete_settings(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete ``--set``: the parameters of the encoder, learner and task chosen so far."""
    from bench.errors import BenchError
    from bench.specs import registry
    from bench.specs.parameters import settable

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
    from bench.results.store import Store

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
