"""`--min-sqnr`: a gate on the distance from fp32, for outputs of any kind."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecnn import bundle as bundles
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.cli._int8 import parse_decibels
from edgecnn.errors import InputError
from edgecnn.golden import make_golden
from edgecnn.graph import clean, prefix
from edgecnn.predictor import load
from edgecnn.quantization import quantize
from edgecnn.quantization.gate import worst_of
from edgecnn.spec import Verdict
from tests.conftest import CONTRACT, Done, TinyNet, TypeCommand, bundle_maker
from tests.quantization.conftest import exported_core
from tests.quantization.test_foreign import two_outputs


@pytest.fixture
def no_classes(tiny_net: TinyNet, tmp_path: Path) -> Bundle:
    """Give a bundle with two outputs that are no classes, and data of its own."""
    model = prefix.put_preprocessing_in_front(two_outputs(exported_core(tiny_net)), CONTRACT)
    contract = replace(CONTRACT, output_kind="other", labels=())
    made = bundle_maker(tiny_net, tmp_path)(variants=("fp32",))
    images = tiny_net.images[:32]
    exact = {"rectified": tiny_net.maps(images), "logits": tiny_net.exact(images)}
    golden = make_golden(images, tiny_net.labels[:32], exact)
    variant = replace(made.variant("fp32"), golden=None)
    manifest = replace(made.manifest, contract=contract, variants=(variant,))
    files = {"fp32.onnx": clean.to_bytes(model), bundles.GOLDEN: golden}
    return bundles.create(tmp_path / "other", manifest, files)


def gated(typed: TypeCommand, bundle: Bundle, wanted: str, *options: str) -> Done:
    brief = ("--threads", 1, "--duration", "0.05s", "--calibration", "minmax")
    return typed("quantize", bundle.folder, "--min-sqnr", wanted, *brief, *options)


def test_the_worst_output_is_held_on_the_test_images(
    no_classes: Bundle, type_command: TypeCommand, tiny_net: TinyNet
) -> None:
    done = gated(type_command, no_classes, "10dB", "--json")
    assert done.code == 0, done.err
    body = json.loads(done.out)["body"]
    assert body["gate"]["outcome"] == "pass"
    assert body["min_sqnr"] == 10
    after, images, seen = open_bundle(no_classes.folder), tiny_net.images[80:], {}
    for name in ("fp32", "int8"):
        with load(after, variant=name, threads=1) as predictor:
            seen[name] = predictor.run_all(images)
    worst = min(
        10 * np.log10(np.square(exact).sum() / np.square(seen["int8"][name] - exact).sum())
        for name, exact in seen["fp32"].items()
    )
    assert f"int8 lies {worst:.1f} dB (SQNR) from fp32 on 120 images" in body["gate"]["reasons"][0]
    assert any("10 dB wanted" in reason for reason in body["verdict"]["reasons"])


def test_what_lies_too_far_fails_and_says_how_to_go_on(
    no_classes: Bundle, type_command: TypeCommand
) -> None:
    done = gated(type_command, no_classes, "90dB")
    assert done.code == 1, done.err
    assert "less than the 90 dB wanted" in done.err
    assert "allow a smaller --min-sqnr" in " ".join(done.err.split())
    assert open_bundle(no_classes.folder).variant("int8").verdict is not None


def test_it_stands_beside_the_loss_of_accuracy(
    tiny_net: TinyNet, tmp_path: Path, type_command: TypeCommand
) -> None:
    core = prefix.put_preprocessing_in_front(exported_core(tiny_net), CONTRACT)
    bundle = bundle_maker(tiny_net, tmp_path)(
        variants=("fp32",), files={"fp32": clean.to_bytes(core)}
    )
    done = gated(type_command, bundle, "90dB", "--max-drop", "50pp")
    assert done.code == 1, done.err
    assert "within the 50.00 points allowed" in " ".join(done.err.split())
    assert "a larger --max-drop or a smaller --min-sqnr" in " ".join(done.err.split())


def test_of_two_gates_the_worse_decides() -> None:
    good, bad = Verdict("pass", ("pass",)), Verdict("fail", ("fail",))
    open_ = Verdict("inconclusive", ("inconclusive",))
    assert worst_of([]) is None
    assert worst_of([good, open_]) == Verdict("inconclusive", ("inconclusive", "pass"))
    assert worst_of([bad, good]) == Verdict("fail", ("fail", "pass"))


def test_no_ratio_is_infinite(no_classes: Bundle) -> None:
    with pytest.raises(InputError, match="dB cannot be wanted"):
        quantize(no_classes, min_sqnr=float("nan"))


@pytest.mark.parametrize(
    ("text", "ratio"), [("20dB", 20), (" 17.5 db ", 17.5), ("-3dB", -3), (".5dB", 0.5)]
)
def test_decibels_are_read(text: str, ratio: float) -> None:
    assert parse_decibels(text) == ratio


@pytest.mark.parametrize("text", ["20", "dB", "20pp", "infdB", "nandB", "1e3dB", ""])
def test_what_carries_no_decibels_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="20dB"):
        parse_decibels(text)
