"""How a model's source is written."""

from __future__ import annotations

from pathlib import Path

TORCHVISION, TIMM = "torchvision:", "timm:"


def short_name(source: str) -> str:
    """Give a short name for a model: that of its factory's file or module, or the package's own.

    >>> [short_name(s) for s in ("lenet", "my/net.py:make", "a.b:Net", "torchvision:resnet18")]
    ['lenet', 'net', 'b', 'resnet18']
    >>> short_name("timm:mobilenetv3_small_100.lamb_in1k")
    'mobilenetv3_small_100'
    """
    place, _, factory = source.partition(":")
    if source.startswith((TORCHVISION, TIMM)):
        return factory.partition(".")[0]
    return Path(place).stem if place.endswith(".py") else place.rpartition(".")[2]


def is_shelf_name(source: str) -> bool:
    """Say whether a model's source is written as a name on the shelf."""
    return source.replace("-", "_").isidentifier()
