"""The usual mistakes in an input contract: other contracts that a net may have been trained with.

Each differs in one step from the contract that was settled, or is a form that many nets share.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from edgecnn.spec import Color, InputContract

_ZEROS, _ONES, _HALVES = (0.0,) * 3, (1.0,) * 3, (0.5,) * 3
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CIFAR_MEAN, _CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)
_CAFFE_MEAN = (123.68, 116.779, 103.939)

# What torchvision and Keras resize to before they cut 224 pixels out of the middle.
_MARGIN = 256 / 224

_FILTERS = ("bilinear", "bicubic", "nearest")


@dataclass(frozen=True)
class Suspect:
    """Another contract, and what sets it apart.

    Attributes:
        name: What it does otherwise, such as `BGR`.
        contract: The contract.
    """

    name: str
    contract: InputContract


@dataclass(frozen=True)
class _Values:
    """What is done to the values of RGB pixels."""

    name: str
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


_IMAGENET = _Values("ImageNet's mean and std", 1 / 255, _IMAGENET_MEAN, _IMAGENET_STD)
_SIGNED = _Values("values from -1 to 1", 1 / 255, _HALVES, _HALVES)
_USUAL = (
    _Values("values from 0 to 255", 1.0, _ZEROS, _ONES),
    _Values("values from 0 to 1, without mean and std", 1 / 255, _ZEROS, _ONES),
    _SIGNED,
    _IMAGENET,
    _Values("CIFAR-10's mean and std", 1 / 255, _CIFAR_MEAN, _CIFAR_STD),
    _Values("values from 0 to 255 minus Caffe's mean", 1.0, _CAFFE_MEAN, _ONES),
)
_MNIST = _Values("MNIST's mean and std", 1 / 255, (0.1307,) * 3, (0.3081,) * 3)


def suspects(contract: InputContract, sizes: Sequence[int] = ()) -> tuple[Suspect, ...]:
    """List other contracts, those that change least in front; none computes what another does.

    Args:
        contract: The contract that was settled.
        sizes: Other sizes of a square input that the net takes.
    """
    return distinct(contract, (*_all(contract), *_other_sizes(contract, sizes)))


def distinct(
    contract: InputContract,
    tried: Sequence[Suspect],
    seen_as: Callable[[InputContract], InputContract] = lambda contract: contract,
) -> tuple[Suspect, ...]:
    """Leave out what computes the same as the contract or as one that stands in front.

    Args:
        contract: The contract that was settled.
        tried: Others.
        seen_as: Gives a contract that makes the same of the pictures at hand.
    """
    found: list[Suspect] = []
    for suspect in tried:
        known = (contract, *(other.contract for other in found))
        if not any(_same(seen_as(suspect.contract), seen_as(other)) for other in known):
            found.append(suspect)
    return tuple(found)


def form(contract: InputContract) -> InputContract:
    """Give the contract of the pictures alone: BGR has the pixels of RGB, turned round."""
    color: Color = "gray" if contract.color == "gray" else "rgb"
    mean, std = (0.0,) * contract.channels, (1.0,) * contract.channels
    return replace(contract, color=color, scale=1.0, mean=mean, std=std)


def _all(contract: InputContract) -> Iterator[Suspect]:
    flipped = _flipped(contract)
    if flipped:
        yield Suspect(flipped.color.upper(), flipped)
    usual = _USUAL if flipped else (*_USUAL, _MNIST)
    for values in usual:
        yield Suspect(values.name, _with_values(contract, values))
    yield from _own_values(contract)
    yield from _other_sizing(contract)
    if flipped:
        for values in usual:
            name = f"{flipped.color.upper()}, {values.name}"
            yield Suspect(name, _with_values(flipped, values))
    for values in (_IMAGENET, _SIGNED):
        cut = replace(_with_values(contract, values), resize=_margin(contract))
        yield Suspect(f"{values.name}, the middle of {_margin(contract)}", cut)


def _own_values(contract: InputContract) -> Iterator[Suspect]:
    """Give the contract's own mean and std, misapplied."""
    ones = (1.0,) * contract.channels
    yield Suspect("no std", replace(contract, std=ones))
    other = 1 / 255 if contract.scale == 1 else 1.0
    name = "mean and std of values from 0 to " + ("1" if contract.scale == 1 else "255")
    yield Suspect(name, replace(contract, scale=other))


def _other_sizing(contract: InputContract) -> Iterator[Suspect]:
    whole = f"crop {max(contract.height, contract.width)}"
    yield Suspect("stretched", replace(contract, resize="stretch"))
    yield Suspect("no margin cut off", replace(contract, resize=whole))
    yield Suspect(f"the middle of {_margin(contract)}", replace(contract, resize=_margin(contract)))
    yield Suspect("letterboxed", replace(contract, resize="letterbox"))
    for name in _FILTERS:
        yield Suspect(f"{name} filter", replace(contract, filter=name))


def _other_sizes(contract: InputContract, sizes: Sequence[int]) -> Iterator[Suspect]:
    rule, _, number = contract.resize.partition(" ")
    for size in sizes:
        resize = contract.resize
        if rule == "crop":
            share = int(number) / max(contract.height, contract.width)
            resize = f"crop {math.ceil(share * size - 1e-9)}"
        yield Suspect(
            f"{size}x{size} pixels", replace(contract, height=size, width=size, resize=resize)
        )


def _margin(contract: InputContract) -> str:
    return f"crop {math.ceil(_MARGIN * max(contract.height, contract.width) - 1e-9)}"


def _flipped(contract: InputContract) -> InputContract | None:
    if contract.color == "gray":
        return None
    other: Color = "bgr" if contract.color == "rgb" else "rgb"
    return replace(contract, color=other, mean=contract.mean[::-1], std=contract.std[::-1])


def _with_values(contract: InputContract, values: _Values) -> InputContract:
    mean, std = _in_color(values.mean, contract), _in_color(values.std, contract)
    return replace(contract, scale=values.scale, mean=mean, std=std)


def _in_color(values: tuple[float, ...], contract: InputContract) -> tuple[float, ...]:
    if contract.color == "gray":
        return (round(fmean(values), 4),)
    return values[::-1] if contract.color == "bgr" else values


def _same(first: InputContract, second: InputContract) -> bool:
    return _shape(first) == _shape(second) and bool(
        np.allclose(_line(first), _line(second), rtol=1e-5, atol=1e-8)
    )


def _shape(contract: InputContract) -> tuple[object, ...]:
    return (*contract.pixel_shape, contract.color, contract.resize, contract.filter)


def _line(contract: InputContract) -> NDArray[np.float64]:
    """Give factor and offset of each channel, which are all that becomes of the values."""
    mean, std = np.array(contract.mean), np.array(contract.std)
    return np.stack([contract.scale / std, mean / std])
