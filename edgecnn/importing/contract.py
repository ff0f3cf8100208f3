"""The input contract of a net that somebody else made: what is given, known and assumed.

Each field comes from the first that knows it: what the user gave, then what travels with the model,
then what is assumed. Every field's origin is said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from statistics import fmean
from typing import Any

from edgecnn.errors import InputError
from edgecnn.spec import Color, InputContract, Layout, OutputKind

GIVEN, ASSUMED = "given", "assumed"


@dataclass(frozen=True)
class Choice:
    """Some fields of an input contract; None where nothing is said. See `InputContract`.

    Attributes:
        input_size: Height and width in pixels.
        color: `rgb`, `bgr` or `gray`.
        scale: What a uint8 pixel is multiplied by.
        mean: Subtracted after scaling, one for each channel, in the order of the channels.
        std: Divided by last, likewise.
        resize: `stretch`, `crop N` or `letterbox`.
        filter: Pillow's name of the resampling filter.
        layout: `nchw` or `nhwc`, of the float input.
        labels: Names of the classes in the order of the outputs.
        output_kind: `logits`, `probabilities` or `other`.
        output: Name of the output that holds the scores of the classes.
    """

    input_size: tuple[int, int] | None = None
    color: Color | None = None
    scale: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    resize: str | None = None
    filter: str | None = None
    layout: Layout | None = None
    labels: tuple[str, ...] | None = None
    output_kind: OutputKind | None = None
    output: str | None = None


@dataclass(frozen=True)
class Facts:
    """What something that travels with a model says of its input.

    Attributes:
        choice: The fields that it knows; mean and std in the order of its own colour, RGB if it
            names none.
        source: What it is, such as `torchvision's weights`.
        certain: The model takes nothing else, so what is given must not contradict it.
    """

    choice: Choice
    source: str
    certain: bool = False


@dataclass(frozen=True)
class Decision:
    """An input contract, and where each field comes from.

    Attributes:
        contract: The contract.
        sources: Where each field's value comes from, by the name of its flag.
        lines: One line for each field: its flag, the value, where it comes from.
    """

    contract: InputContract
    sources: dict[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()


# The size of the input is never assumed, and the labels may stay unknown.
DEFAULTS = Choice(
    color="rgb",
    scale=1 / 255,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    resize="stretch",
    filter="bilinear",
    layout="nchw",
    labels=(),
    output_kind="logits",
    output="",
)
_FIELDS = tuple(entry.name for entry in fields(Choice))


def decide(
    user: Choice,
    facts: Sequence[Facts] = (),
    *,
    classes: int | None = None,
    assumed: Choice = DEFAULTS,
) -> Decision:
    """Settle a contract; who stands earlier wins, and the user before all facts.

    Mean and std that come from facts follow the colour: turned round where RGB meets BGR, averaged
    where colour meets grey; a crop follows the input size. All of that is said.

    Args:
        user: What was given.
        facts: What travels with the model, the most trusted first.
        classes: Numbers in the output of scores; labels of facts that are more or fewer are passed
            over. None where the output is no row of scores.
        assumed: What to take where nobody knows; `InputContract`'s own defaults else.

    Raises:
        InputError: Nobody knows the size of the input, what was given contradicts what is certain,
            or the fields do not fit together.
    """
    for fact in facts:
        if fact.certain:
            _refuse_contradiction(user, fact)
    fallback = Facts(assumed, ASSUMED), Facts(DEFAULTS, ASSUMED)
    voices = (Facts(user, GIVEN), *facts, *fallback)
    _refuse_wrong_labels(user, classes)
    found = {name: _first(name, voices, classes) for name in _FIELDS}
    settled = {name: _followed(name, *entry, found) for name, entry in found.items()}
    values: dict[str, Any] = {name: value for name, (value, _) in settled.items()}
    height, width = values.pop("input_size")
    contract = InputContract(height, width, **values)
    sources = {flag(name): source for name, (_, source) in settled.items()}
    lines = (*_lines(contract, sources), *_passed_over(facts, classes))
    return Decision(contract, sources, lines)


def as_choice(contract: InputContract) -> Choice:
    """Give a contract's fields as a choice that would select it."""
    same = {name: getattr(contract, name) for name in _FIELDS if name != "input_size"}
    return Choice(input_size=(contract.height, contract.width), **same)


def difference(contract: InputContract, other: InputContract) -> Choice:
    """Give the fields in which another contract differs, with the other's values."""
    before, after = as_choice(contract), as_choice(other)
    changed = [name for name in _FIELDS if getattr(before, name) != getattr(after, name)]
    return Choice(**{name: getattr(after, name) for name in changed})


def merged(first: Choice, second: Choice) -> Choice:
    """Give the first choice, its gaps filled from the second.

    Mean and std of the second follow the colour of the first, where each names its own.
    """
    gaps = {name: getattr(second, name) for name in _FIELDS if getattr(first, name) is None}
    if first.color and second.color:
        for name in {"mean", "std"} & gaps.keys():
            values = gaps[name]
            if values and len(values) == (1 if second.color == "gray" else 3):
                gaps[name], _ = _channels_for(values, second.color, first.color)
    return replace(first, **gaps)


def flag(name: str) -> str:
    """Give the flag of a field, without its hyphens: `input_size` is `input-size`."""
    # --output is where a bundle goes, in all commands.
    return "output-name" if name == "output" else name.replace("_", "-")


def flags(choice: Choice) -> str:
    """Write a choice as the flags that make it; labels, which need a file, are left out.

    >>> flags(Choice(color="bgr", scale=1.0, mean=(0.0, 0.0, 0.0), resize="crop 256"))
    '--color bgr --scale 1 --mean 0,0,0 --resize crop:256'
    """
    given = [(name, getattr(choice, name)) for name in _FIELDS if name != "labels"]
    return " ".join(
        f"--{flag(name)} {shown(value, name)}" for name, value in given if value is not None
    )


def shown(value: Any, name: str) -> str:
    """Write a field's value as its flag takes it; labels are counted and the first named.

    >>> shown(1 / 255, "scale"), shown((0.5, 0.25), "mean"), shown((32, 48), "input_size")
    ('1/255', '0.5,0.25', '32x48')
    """
    if name == "input_size":
        return f"{value[0]}x{value[1]}"
    if name == "labels":
        more = ", …" if len(value) > 3 else ""
        first = ", ".join(label if label.isprintable() else ascii(label) for label in value[:3])
        return f"{len(value)}: {first}{more}" if value else "none"
    if name == "scale":
        return "1/255" if value == 1 / 255 else f"{value:.17g}"
    if isinstance(value, tuple):
        return ",".join(f"{number:.12g}" for number in value)
    return str(value).replace("crop ", "crop:") or "the first"


def _first(name: str, voices: Sequence[Facts], classes: int | None) -> tuple[Facts, Any]:
    for voice in voices:
        value = getattr(voice.choice, name)
        misfit = name == "labels" and value and classes not in {None, len(value)}
        if value is not None and not misfit:
            return voice, value
    raise InputError(
        "Nothing says the size of the input.", "Give it, such as --input-size 224x224."
    )


def _followed(
    name: str, voice: Facts, value: Any, found: dict[str, tuple[Facts, Any]]
) -> tuple[Any, str]:
    """Fit a value that was not given to the colour and the size that were decided."""
    how = ""
    if voice.source != GIVEN and name == "resize":
        value, how = _crop_for(value, voice.choice.input_size, found["input_size"][1])
    elif voice.source != GIVEN and name in {"mean", "std"}:
        value, how = _channels_for(value, voice.choice.color or "rgb", found["color"][1])
    return value, f"{voice.source}, {how}" if how else voice.source


def _channels_for(
    values: tuple[float, ...], before: Color, now: Color
) -> tuple[tuple[float, ...], str]:
    if len(set(values)) == 1:
        return values[:1] * (1 if now == "gray" else 3), ""
    if now == "gray":
        return (round(fmean(values), 4),), "averaged for grey"
    if {before, now} == {"rgb", "bgr"}:
        return values[::-1], f"turned round for {now.upper()}"
    return values, ""


def _crop_for(resize: str, before: tuple[int, int] | None, now: tuple[int, int]) -> tuple[str, str]:
    rule, _, number = resize.partition(" ")
    if rule != "crop" or before is None or before == now:
        return resize, ""
    side = math.ceil(int(number) * max(now) / max(before))
    return f"crop {side}", f"scaled to {shown(now, 'input_size')}"


def _refuse_contradiction(user: Choice, fact: Facts) -> None:
    for name in _FIELDS:
        given, certain = getattr(user, name), getattr(fact.choice, name)
        if given is not None and certain is not None and given != certain:
            raise InputError(
                f"--{flag(name)} {shown(given, name)} contradicts {fact.source}: "
                f"{shown(certain, name)}.",
                f"Leave --{flag(name)} out.",
            )


def _refuse_wrong_labels(user: Choice, classes: int | None) -> None:
    if user.labels and classes not in {None, len(user.labels)}:
        raise InputError(
            f"{len(user.labels)} labels are given, but the net has {classes} outputs.",
            "Give one label for each output, in their order.",
        )


def _lines(contract: InputContract, sources: dict[str, str]) -> list[str]:
    choice = as_choice(contract)
    texts = {name: f"--{flag(name)} {shown(getattr(choice, name), name)}" for name in _FIELDS}
    width = max(map(len, texts.values()))
    return [f"{text:{width}}  {sources[flag(name)]}" for name, text in texts.items()]


def _passed_over(facts: Sequence[Facts], classes: int | None) -> list[str]:
    return [
        f"The {len(fact.choice.labels)} labels of {fact.source} are passed over: the net has "
        f"{classes} outputs."
        for fact in facts
        if fact.choice.labels and classes not in {None, len(fact.choice.labels)}
    ]
