"""A request: what to train, on which data, for how long. Every field is declared here, once.

From these declarations come the arguments of `bench.run`, the keys of a grid, and the options of ``run``, ``sweep`` and
``tune``: a new field is one more line here, and a line where its value is used.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, NamedTuple

from bench.errors import RequestError, one_of

VALIDATION_FOR_STOPPING = 0.1
"""The share of validation pairs, by default, where a run stops once it has solved them."""
VAULT = 0.2
"""The share of the pairs that a study keeps for the test of its winner."""


class Option(NamedTuple):
    """The command-line option of a field.

    :param help: one sentence.
    :param parse: makes the value from its text, or raises ValueError.
    :param rule: what the text must be, where ``parse`` is not int, float or str: "a number of features or 'off'".
    :param plugin: the kind of plugin that the value names.
    :param words: all valid values, for completion.
    :param metavar: the placeholder of the value in help; by default the words.
    :param default_text: what None means, for the help.
    :param share: whether the value is a share, between 0 and 1.
    :param several: whether ``sweep`` takes several values with commas.
    :param flag: the option's name, by default the field's name with dashes.
    :param owner: a grid may also give the value among the parameters of this plugin.
    """

    help: str
    parse: Callable[[str], Any] = str
    rule: str = ""
    plugin: Literal["encoder", "learner", "optimizer", "task"] | None = None
    words: tuple[str, ...] = ()
    metavar: str | None = None
    default_text: str = ""
    share: bool = False
    several: bool = False
    flag: str | None = None
    owner: Literal["encoder", "learner"] | None = None


def features(text: str) -> int | str:
    """Parse the value of ``sdr``: a number of features, or "off"."""
    return text if text == "off" else int(text)


def option(help: str, *, default: Any = None, **more: Any) -> Any:
    """A field of a request with a command-line option.

    :param more: the other arguments of `Option`.
    """
    return field(default=default, metadata={"option": Option(help, **more)})


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to train, on which data, for how long: cells that differ only in their seed.

    :param settings: parameters by owner and name: ``{"encoder.n": 400, "task.operand_max": 200, "adamw.lr": 0.01}``.
    :param vault: test pairs that a study keeps aside: ``{"fraction": 0.2, "seed": 7, "open": False}``.
    """

    encoder: str = option("Encoder of the operands.", default=MISSING, plugin="encoder", several=True)
    learner: str = option("Learner to train.", default=MISSING, plugin="learner", several=True)
    optimizer: str | None = option(
        "Optimizer: parts joined by +, as grokfast-ema+adamw.",
        plugin="optimizer",
        metavar="PART[+PART…]",
        default_text="the learner's own",
        several=True,
        owner="learner",
    )
    settings: Mapping[str, Any] | None = None
    vault: Mapping[str, Any] | None = None
    combine: str | None = option(
        "How the codes of the operands are combined.",
        words=("concat", "sum", "product"),
        default_text="the encoder's",
        several=True,
        owner="encoder",
    )
    sdr: int | str | None = option(
        "Keep the K largest features of each slot, or off.",
        parse=features,
        rule="a number of features or 'off'",
        metavar="K|off",
        default_text="the encoder's",
        several=True,
        owner="encoder",
    )
    task: str = option("Task to learn.", default="add", plugin="task", several=True)
    modulus: int | None = option("The modulus p.", parse=int, default_text="97", several=True)
    pairs: str | None = option(
        "ordered, grouped, unordered or distinct.",
        words=("ordered", "grouped", "unordered", "distinct"),
        metavar="PROTOCOL",
        default_text="unordered where the task commutes, grouped where other twins (a, b) and (b, a) have one answer, "
        "else ordered",
        several=True,
    )
    train_fraction: float = option("Share of the pairs that train.", default=0.5, parse=float, share=True, several=True)
    validation_fraction: float | None = option(
        "Share of the pairs that validate.", parse=float, share=True, default_text="0; 0.1 with `stop_when_solved`"
    )
    label_noise: float = option(
        "Share of the training answers that are replaced by wrong ones.",
        default=0.0,
        parse=float,
        share=True,
        several=True,
    )
    seeds: int | None = option("Seeds 0 … N − 1.", parse=int, default_text="1")
    seed: int | None = option("Train only this seed, instead of `seeds`.", parse=int)
    split_seed: int | None = option(
        "Fix the split and label noise; encoder and learner still follow the seed.", parse=int
    )
    steps: int | None = option("Budget in optimizer updates.", parse=int, default_text="the learner's", owner="learner")
    epochs: int | None = option(
        "Budget in passes over the training pairs, instead of `steps`.", parse=int, owner="learner"
    )
    seconds: float | None = option("Hard limit for each cell.", parse=float, owner="learner")
    stop_when_solved: bool = option(
        "Stop once 99 % of the validation pairs have held.", default=False, parse=bool, owner="learner"
    )
    precision: str = option(
        "Arithmetic of the training; tf32 on GPUs.",
        default="float32",
        words=("float32", "tf32", "bfloat16"),
        owner="learner",
    )

    @classmethod
    def of(cls, values: Mapping[str, Any], others: Iterable[str] = ()) -> "Request":
        """A request from its fields by name.

        :param others: further arguments that the caller takes, which the message about an unknown one lists, too.
        :raises RequestError: for an unknown argument, or a missing one.
        """
        known = [one.name for one in fields(cls)]
        for name in values:
            if name not in known:
                raise RequestError(one_of("argument", name, {*known, *others}))
        for name in ("encoder", "learner"):
            if name not in values:
                raise RequestError(f"Missing argument {name!r}.")
        return cls(**values)

    @property
    def limits(self) -> dict[str, Any]:
        """The fields that limit the budget."""
        return {name: getattr(self, name) for name in ("steps", "epochs", "seconds", "stop_when_solved")}


def options(cls: type) -> dict[str, tuple[Option, Any]]:
    """The option and the default of each field; a required field has the default `dataclasses.MISSING`."""
    return {one.name: (one.metadata["option"], one.default) for one in fields(cls) if "option" in one.metadata}
