"""A bundle with an fp32 variant as `edgecnn export` writes it, made without torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from edgecnn.bundle import Bundle
from edgecnn.data import Dataset, Split
from edgecnn.graph import clean, prefix
from edgecnn.spec import Variant
from tests.conftest import CLASSES, CONTRACT, MakeBundle, TinyNet

MakeFp32 = Callable[..., Bundle]


@pytest.fixture
def core(tiny_net: TinyNet) -> ir.Model:
    """Give the tiny net's float core as export writes it."""
    return exported_core(tiny_net)


def exported_core(net: TinyNet, batch: int | str = "N") -> ir.Model:
    """Give the tiny net's float core with its mean as an AveragePool over all of the image."""
    model = clean.from_bytes(net.onnx(preprocessing=False, batch=batch), where="the tiny net")
    for node in model.graph:
        if node.op_type == "GlobalAveragePool":
            node.op_type = "AveragePool"
            node.attributes["kernel_shape"] = ir.AttrInt64s("kernel_shape", [6, 6])
    return clean.clean(model)


@pytest.fixture
def tiny_data(tiny_net: TinyNet) -> Dataset:
    """Give the tiny net's 200 images: 80 to train on, 120 to test with."""
    images, labels = tiny_net.images, tiny_net.labels
    train, test = Split(images[:80], labels[:80]), Split(images[80:], labels[80:])
    return Dataset("tiny", "/nowhere/tiny.npz", CLASSES, train, test)


@pytest.fixture
def make_fp32(make_bundle: MakeBundle, tiny_net: TinyNet) -> MakeFp32:
    """Give a function that makes a bundle with one fp32 variant in some form."""

    def make(
        *,
        preprocessing: bool = True,
        batch: int | None = None,
        change: Callable[[ir.Model], None] | None = None,
    ) -> Bundle:
        model = exported_core(tiny_net, batch or "N")
        if change:
            change(model)
        if preprocessing:
            model = prefix.put_preprocessing_in_front(model, CONTRACT)
        return make_bundle(
            variants=("fp32",),
            files={"fp32": clean.to_bytes(model)},
            changes={"fp32": {"preprocessing": preprocessing, "batch": batch or "dynamic"}},
        )

    return make


def contents(folder: Path) -> dict[str, bytes]:
    """Give every file of a bundle that is not a report, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def pictures(count: int, low: int, high: int) -> Split:
    """Give noise whose pixels lie between two values."""
    random = np.random.default_rng(count)
    images = random.integers(low, high, (count, *CONTRACT.pixel_shape), dtype=np.uint8)
    return Split(images, np.arange(count) % len(CLASSES))


def located(variant: Variant, content: bytes, folder: Path) -> Variant:
    """Write a variant's file and locate it."""
    path = folder / "draft.onnx"
    path.write_bytes(content)
    return replace(variant, files=(str(path),))
