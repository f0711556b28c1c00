"""Options that several commands share, completion and parsing of their values. Imports nothing heavy."""

import ast
import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import MISSING
from functools import wraps
from typing import Any, TypeVar, cast

import click
from click.shell_completion import CompletionItem

from bench import executors, results, specs
from bench.cli._messages import with_options
from bench.errors import BenchError, RequestError
from bench.specs import options

F = TypeVar("F", bound=Callable[..., Any])


def _set_debug(context: click.Context, option: click.Parameter, value: bool) -> None:
    if value and context.obj is not None:
        context.obj["debug"] = True


def is_debug() -> bool:
    """Whether the command was given ``--debug``."""
    context = click.get_current_context(silent=True)
    return context is not None and bool((context.obj or {}).get("debug"))


debug_option = click.option(
    "--debug", is_flag=True, expose_value=False, callback=_set_debug, help="Show where an error comes from."
)
json_option = click.option("as_json", "--json", is_flag=True, help="Print one JSON document; all else goes to stderr.")
quiet_option = click.option("--quiet", is_flag=True, help="Show no progress.")
verbose_option = click.option("--verbose", is_flag=True, help="Name the settings that are at their defaults, too.")
results_option = click.option(
    "--results", default="results", show_default=True, metavar="DIR", type=click.Path(), help="The results folder."
)
source_option = click.option(
    "--results",
    default="results",
    show_default=True,
    metavar="DIR|FILE",
    type=click.Path(),
    help="The results folder, or a pack.",
)
sources_option = click.option(
    "--results",
    default=("results",),
    show_default=True,
    multiple=True,
    metavar="DIR|FILE",
    type=click.Path(),
    help="A results folder or a pack. Repeatable.",
)
storage_option = click.option(
    "--storage",
    metavar="URL",
    help="Where the studies are.  [default: journal:///RESULTS/studies.journal, if it exists]",
)
title_option = click.option("--title", metavar="TEXT", help="The heading.  [default: what is compared]")


class Given(click.ParamType):
    """The value of an option, or several values with commas. Errors suggest a value that is valid.

    :param parse: makes a value from its text.
    :param rule: what the text must be, where that is not an integer or a number.
    :param share: whether it is a share, between 0 and 1.
    :param several: whether the option takes several values.
    :param swept: whether `sweep` takes several values where this command takes one.
    """

    def __init__(
        self,
        parse: Callable[[str], Any],
        rule: str = "",
        share: bool = False,
        several: bool = False,
        swept: bool = False,
    ):
        self.parse, self.share, self.several, self.swept = parse, share, several, swept
        self.rule = rule or {int: "an integer", float: "a number"}.get(parse, "a name")  # type: ignore[call-overload]
        self.name = {int: "integer", float: "float"}.get(parse, "text")  # type: ignore[call-overload]

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """The value, a list of values, or "all"."""
        if not isinstance(value, str):
            return value
        if not self.several:
            return self._one(value, parameter)
        parts = parted(value)
        return "all" if parts == ["all"] and self.parse is str else [self._one(part, parameter) for part in parts]

    def _one(self, text: str, parameter: click.Parameter | None) -> Any:
        try:
            return self.parse(text)
        except ValueError:
            field, flag = (parameter.name or "", parameter.opts[0]) if parameter else ("", "it")
            if self.swept and (several := specs.several_message(field, text)):
                raise RequestError(several) from None
            hint = specs.percent_hint(text) if self.share else specs.integer_hint(text) if self.parse is int else "."
            raise RequestError(f"{flag} must be {self.rule}, got {text!r}{hint}") from None


def options_of(
    fields: type,
    names: Collection[str] = (),
    *,
    several: Collection[str] = (),
    fixed: bool = True,
    **changed: Mapping[str, Any],
) -> Callable[[F], F]:
    """The options for the fields of a request, in their order.

    :param names: the fields that become options; all where there are no names.
    :param several: fields that take several values with commas.
    :param fixed: whether an option that is not given has the field's default; otherwise it is None, and only the help
        shows the default.
    :param changed: arguments of `click.option` that a command gives for a field itself; with ``show_default`` the help
        does not say what a value that is not given means.
    """

    def decorate(command: F) -> F:
        chosen = {name: it for name, it in options(fields).items() if not names or name in names}
        for name, (option, default) in reversed(chosen.items()):
            complete = name_completer(option.plugin) if option.plugin else words(*option.words)
            own: dict[str, Any] = {"help": with_options(option.help), "shell_complete": complete}
            if option.parse is bool:
                own |= {"is_flag": True} if fixed else {"is_flag": True, "default": None}
            else:
                is_list = name in several
                own["type"] = Given(option.parse, option.rule, option.share, is_list, option.several and not is_list)
                own["metavar"] = _several(option) if is_list else option.metavar or "|".join(option.words) or None
            default_text = option.default_text
            if default is MISSING:
                own["required"] = fixed
            elif default is not None and option.parse is not bool:
                own |= {"default": default, "show_default": True} if fixed else {}
                default_text = "" if fixed else str(default)
            own |= changed.get(name, {})
            if default_text and "show_default" not in changed.get(name, {}):
                own["help"] += f"  [default: {with_options(default_text)}]"
            flags = (name, option.flag) if option.flag else (f"--{name.replace('_', '-')}",)
            command = click.option(*flags, **own)(command)
        return command

    return decorate


def _several(option: specs.Option) -> str:
    """The placeholder of several values: "K,off" where that of one is "K|off", else "A,B"."""
    return option.metavar.replace("|", ",") if option.metavar and "|" in option.metavar else "A,B"


def words(*known: str) -> Callable[..., list[CompletionItem]]:
    """Complete one of some words."""
    return lambda context, parameter, incomplete: [CompletionItem(w) for w in known if w.startswith(incomplete)]


def word_option(
    flag: str, known: Collection[str], help: str, *name: str, default: str | None = None
) -> Callable[[F], F]:
    """An option that takes one of some words, which its placeholder lists and the shell completes.

    :param name: of the argument, where it is not that of the option.
    """
    more: dict[str, Any] = {"metavar": "|".join(known), "shell_complete": words(*known), "show_default": True}
    return click.option(flag, *name, default=default, help=help, **more)


def name_completer(*kinds: Any) -> Callable[..., list[CompletionItem]]:
    """Complete names of plugins, with their summaries; of an optimizer the name of its last part."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        found = [item for kind in kinds for item in specs.listings(kind).values()]
        before, plus, last = incomplete.rpartition("+")
        begun = specs.canonical(last)
        return [
            CompletionItem(f"{before}{plus}{item.name}", help=item.summary)
            for item in found
            if item.name.startswith(begun)
        ]

    return complete


def complete_settings(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete ``--set``: the parameters of the encoder, learner, optimizer and task chosen so far."""
    found: dict[str, Any] = {}
    for kind in specs.KINDS:
        with suppress(BenchError):  # completion goes on where a name is unknown
            if kind != "optimizer" and (name := context.params.get(kind)):
                parameters = specs.settable(kind, getattr(specs.registry, kind)(name))
                found |= {f"{kind}.{key}=": default for key, default in parameters.items()}
    with suppress(BenchError):
        if learner := context.params.get("learner"):
            parts = specs.parts_of(specs.registry.learner(learner), context.params.get("optimizer"))
            for name, part in parts.items():
                found |= {f"{name}.{key}=": value for key, value in specs.settable_of(part).items()}
    return [CompletionItem(k, help=f"default {v!r}") for k, v in found.items() if k.startswith(incomplete)]


def record_completer(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete ids of the records in the results folder or pack."""
    with suppress(BenchError):
        ids = results.open_store(context.params.get("results") or "results").ids()
        return [CompletionItem(id) for id in ids if id.startswith(incomplete)]
    return []


def parse_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    """``("learner.alpha=1e-3", "learner.hidden_layer_sizes=400,200")`` as values by name."""
    parsed = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not text:
            raise RequestError(f"--set takes OWNER.NAME=VALUE, got {setting!r}.")
        parsed[key.strip()] = parse_value(text.strip())
    return parsed


def parse_value(text: str) -> Any:
    """A number, None, a truth value, a tuple of values with commas, or the text itself.

    >>> [parse_value(t) for t in ("400,200", "1e-3", "off", "true", "none", "relu")]
    [(400, 200), 0.001, 'off', True, None, 'relu']
    """
    words = {"none": None, "null": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about text that is no Python: 1is, "\d"
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):  # the last two of values that are nested too deeply
        return text


settings_option = click.option(
    "settings",
    "--set",
    multiple=True,
    metavar="OWNER.NAME=VALUE",
    shell_complete=complete_settings,
    help="A parameter: encoder.n=400, learner.hidden_layer_sizes=400,200, adamw.lr=0.01, task.operand_max=200. "
    "Repeatable.",
)
device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda[:i]",
    shell_complete=words("auto", "cpu", "cuda"),
    help="Where to train.",
)


keep_states_option = click.option(
    "--keep-states",
    type=Given(int),
    default=0,
    metavar="N",
    help="Keep the states of N evaluations of each run, from which plot progress draws what happens inside.",
)


def executor_option(command: F) -> F:
    """``--executor`` and ``--scheduler``, which the command receives as one: "dask:tcp://127.0.0.1:8786"."""

    @wraps(command)
    def with_address(*arguments: Any, executor: str, scheduler: str | None, **options: Any) -> Any:
        address = "" if scheduler is None else f":{scheduler}"
        return command(*arguments, executor=f"{executor}{address}", **options)

    named: Any = click.option(
        "--scheduler", metavar="ADDRESS", help="The scheduler of --executor dask, as tcp://127.0.0.1:8786."
    )(with_address)
    named = click.option(
        "--executor",
        default="local",
        show_default=True,
        metavar="local|dask",
        shell_complete=words("local", "dask"),
        help="Where jobs run: on this machine, or on the workers of a Dask cluster.",
    )(named)
    return cast("F", named)


def parted(text: str) -> list[str]:
    """The parts of a text between commas; commas in brackets do not count."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def prepare(jobs: int | None, executor: str, device: str, folder: str, dry_run: bool) -> None:
    """Check ``--jobs``, ``--executor`` and the results folder: a dry run refuses what the command itself refuses.

    Processes for GPUs are started early if something is going to train.
    """
    if jobs is not None and jobs < 1:
        raise RequestError(f"`jobs` must be an integer ≥ 1, got {jobs}.")
    if not dry_run and executor == "local":
        executors.warm.start(device)
    executors.executor_class(executor)
    results.check_folder(folder)
