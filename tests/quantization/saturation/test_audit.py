"""The replay, against ONNX Runtime here and on a CPU that saturates."""

from __future__ import annotations

import platform
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.emulation import emulator_for
from edgecnn.emulation.run import outputs_as
from edgecnn.graph import clean, prefix
from edgecnn.quantization.making import quantize_core
from edgecnn.quantization.plan import Plan
from edgecnn.quantization.safety import largest_pair_sums
from edgecnn.quantization.saturation import Player, audit, computing, images_for, statement
from edgecnn.quantization.schemes import SCHEMES
from edgecnn.runtime import plain_file
from tests.conftest import CONTRACT, TinyNet
from tests.quantization.conftest import exported_core
from tests.saturating import bright_images, needs_qemu, saturating_net

IMAGES = bright_images(32)


def test_this_cpu_answers_what_is_replayed() -> None:
    # Without VNNI it is the saturating replay that is held against ONNX Runtime.
    found = audit(saturating_net(), CONTRACT, IMAGES)
    assert (found.images, found.confirmed, found.not_replayed) == (32, 32, ())
    assert (found.changed, found.flips) == (29, 4)
    assert found.largest_error > 0


@needs_qemu
def test_a_cpu_without_vnni_answers_what_is_predicted(tmp_path: Any) -> None:
    path = tmp_path / "saturating.onnx"
    path.write_bytes(saturating_net())
    variant = replace(plain_file(str(path)), preprocessing=True)
    answered = outputs_as(emulator_for("haswell"), CONTRACT, variant, IMAGES, threads=1)
    player = Player(saturating_net())
    predicted = player.play(CONTRACT, IMAGES, saturating=True).outputs
    exact = player.play(CONTRACT, IMAGES, saturating=False).outputs
    assert answered["logits"].tobytes() == predicted["logits"].tobytes()
    assert answered["logits"].tobytes() != exact["logits"].tobytes()


def test_what_saturates_is_told_layer_by_layer() -> None:
    found = {layer.layer: layer for layer in audit(saturating_net(), CONTRACT, IMAGES).layers}
    # A depthwise convolution adds no pairs.
    assert list(found) == ["wide", "groups", "steps", "gemm", "matrix"]
    wide = found["wide"]
    # 27 inputs are 14 pairs for each of 8 channels at 8x8 places.
    assert wide.pairs == 32 * 64 * 8 * 14
    assert wide.outputs == 32 * 64 * 8
    assert 0 < wide.changed_outputs <= wide.saturated < wide.pairs
    assert 32_767 < wide.largest_pair_sum <= 2 * 255 * 127


def test_one_pixel_by_hand() -> None:
    # 255 * 127 + 255 * 127 = 64,770 saturates; 255 * 127 + 3 * 127 = 32,766 does not.
    pixels = np.zeros((1, 8, 8, 3), np.uint8)
    pixels[0, 0, 0, :2] = 255
    pixels[0, 0, 1, :2] = 255, 3
    player = Player(pointwise())
    replayed = player.play(CONTRACT, pixels, saturating=True)
    assert replayed.outputs["y"][0, 0, 0, :2].tolist() == [101, 101]  # 32,767 / 323.85
    exact = player.play(CONTRACT, pixels, saturating=False)
    assert exact.outputs["y"][0, 0, 0, :2].tolist() == [200, 101]
    (counts,) = replayed.counts.values()
    assert (counts.saturated, counts.changed, counts.largest) == (1, 1, 64_770)


def pointwise() -> bytes:
    import onnx_ir as ir

    return clean.to_bytes(
        ir.from_onnx_text(
            '<ir_version: 8, opset_import: ["" : 18]>'
            "net (uint8[N,8,8,3] pixels) => (uint8[N,1,8,8] y)"
            "<float one = {1.0}, uint8 zero = {0}, int8[1,3,1,1] w = {127, 127, 1},"
            " int8 signed_zero = {0}, float larger = {323.85}> {"
            "  x = Transpose<perm=[0,3,1,2]>(pixels)"
            "  y = QLinearConv(x, one, zero, w, one, signed_zero, larger, zero)"
            "}"
        )
    )


def quantized(net: TinyNet, scheme: str) -> tuple[bytes, int]:
    core = exported_core(net)
    model = quantize_core(core, CONTRACT, net.images[:80], Plan(scheme=SCHEMES[scheme]))
    whole = prefix.put_preprocessing_in_front(model, CONTRACT)
    return clean.to_bytes(whole), max(largest_pair_sums(model).values())


def test_no_sum_exceeds_what_the_weights_allow(tiny_net: TinyNet) -> None:
    content, bound = quantized(tiny_net, "u8s8")
    found = audit(content, CONTRACT, tiny_net.images)
    largest = max(layer.largest_pair_sum for layer in found.layers)
    assert 0 < largest <= bound
    assert found.confirmed == len(tiny_net.images)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="it is so on x86 only")
def test_signed_activations_become_unsigned(tiny_net: TinyNet) -> None:
    content, _ = quantized(tiny_net, "s8s8")
    found = audit(content, CONTRACT, tiny_net.images)
    assert len(found.layers) == 2
    assert found.confirmed == len(tiny_net.images)


def test_what_only_x86_would_make_unsigned_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnx_ir as ir

    content = clean.to_bytes(
        ir.from_onnx_text(
            '<ir_version: 8, opset_import: ["" : 18]>'
            "net (int8[N,2] x) => (int8[N,1] y)"
            "<float one = {1.0}, int8 zero = {0}, int8[2,1] w = {127, 127}>"
            "{ y = QLinearMatMul(x, one, zero, w, one, zero, one, zero) }"
        )
    )
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert Player(content).not_replayed == ()
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert Player(content).not_replayed == ("QLinearMatMul",)


def test_seven_bits_lose_nothing(tiny_net: TinyNet) -> None:
    found = audit(quantized(tiny_net, "u8s8-7bit")[0], CONTRACT, tiny_net.images[:40])
    assert len(found.layers) == 2
    assert (found.saturated, found.changed, found.flips) == (0, 0, 0)
    assert found.largest_error == 0


def test_large_images_are_replayed_in_fewer() -> None:
    numbers = [
        images_for(replace(CONTRACT, height=side, width=side)) for side in (8, 64, 128, 224, 1024)
    ]
    assert numbers == [256, 256, 64, 24, 24]


def test_memory_is_bounded_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Player(saturating_net()).play(CONTRACT, IMAGES, saturating=True)
    monkeypatch.setattr(computing, "_VALUES_AT_ONCE", 100)
    parts = Player(saturating_net()).play(CONTRACT, IMAGES, saturating=True)
    assert parts.outputs["logits"].tobytes() == whole.outputs["logits"].tobytes()
    assert parts.counts == whole.counts


def test_it_claims_nothing_for_other_images() -> None:
    text = statement(audit(saturating_net(), CONTRACT, IMAGES))
    assert "29 answers change there, 4 of them to another class." in text
    assert "It proves nothing for other images" in text
    contract = replace(CONTRACT, labels=(), output_kind="other")
    found = audit(saturating_net(), contract, IMAGES)
    assert found.flips is None
    assert "class" not in statement(found)


def test_a_fixed_batch_is_filled() -> None:
    def fixed(content: bytes) -> bytes:
        import onnx

        model = onnx.load_model_from_string(content)
        for value in (model.graph.input[0], model.graph.output[0]):
            value.type.tensor_type.shape.dim[0].dim_value = 5
        result: bytes = model.SerializeToString()
        return result

    def answers(content: bytes) -> NDArray[Any]:
        outputs = Player(content).play(CONTRACT, IMAGES[:12], saturating=True).outputs
        return outputs["logits"]

    assert answers(fixed(saturating_net())).tobytes() == answers(saturating_net()).tobytes()


def test_what_is_not_replayed_is_named() -> None:
    import onnx_ir as ir

    content = clean.to_bytes(
        ir.from_onnx_text(
            '<ir_version: 8, opset_import: ["" : 18]>'
            "net (uint8[N,8,8,3] pixels) => (int32[N,8,8,2] y)"
            "<int8[3,2] w = {1, 2, 3, 4, 5, 6}> { y = MatMulInteger(pixels, w) }"
        )
    )
    found = audit(content, replace(CONTRACT, labels=(), output_kind="other"), IMAGES)
    assert (found.not_replayed, found.layers) == (("MatMulInteger",), ())
