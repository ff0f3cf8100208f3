"""The golden self-test: which images a file holds, and that it finds what is wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecnn.codegen import Generated, generate, generating
from edgecnn.codegen.vectors import Vectors, read_vectors
from edgecnn.golden import expected, golden
from edgecnn.runtime import plain_file
from edgecnn.spec import Tolerance
from tests.codegen.compiled import KERNELS, WARNINGS, run_ort
from tests.codegen.graphs import QuantizedNet
from tests.conftest import CONTRACT, MakeBundle

needs_compilers = pytest.mark.skipif(
    shutil.which("cc") is None or shutil.which("c++") is None,
    reason="needs `apt-get install gcc g++`",
)
MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include "net.h"
int main(void) {
#ifdef NET_WEIGHTS_BYTES
    static unsigned char weights[NET_WEIGHTS_BYTES];
    FILE *file = fopen("net.bin", "rb");
    if (!file || fread(weights, 1, sizeof weights, file) != sizeof weights) abort();
    return net_selftest(weights);
#else
    return net_selftest();
#endif
}
"""
LANGUAGES = {"C99": ("cc", "-std=c99"), "C++17": ("c++", "-x", "c++", "-std=c++17")}


def two_headed() -> tuple[onnx.ModelProto, Vectors]:
    """Give an int8 net with two outputs, and vectors that are ONNX Runtime's answers."""
    net = QuantizedNet((1, 3, 8, 8))
    one = net.max_pool(net.conv(net.first, 10))
    model = net.model(net.mean(one), net.dense(one, 4, 160))
    images = net.images(3)
    answers = [run_ort(model, {"image": image}) for image in images]
    outputs = {name: np.stack([each[name] for each in answers]) for name in answers[0]}
    return model, Vectors(images, outputs, dict.fromkeys(outputs, 0.0))


def made(model: onnx.ModelProto, vectors: Vectors | None) -> Generated:
    return generate(
        model.SerializeToString(),
        where="net.onnx",
        name="net",
        prefix="net",
        kernels=KERNELS,
        vectors=vectors,
    )


def run(net: Generated, folder: Path, language: str = "C99") -> int:
    """Compile a net with its self-test, warnings being errors, and give what it says."""
    (folder / "net.c").write_text(net.source)
    (folder / "net.h").write_text(net.header)
    (folder / "net.bin").write_bytes(net.weights or b"")
    (folder / "main.c").write_text(MAIN)
    flags = [*LANGUAGES[language], "-O1", "-DEDGECNN_SELFTEST", *WARNINGS]
    command = [*flags, "-o", "net", "net.c", "main.c"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]
    return subprocess.run(["./net"], cwd=folder).returncode


@needs_compilers
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("apart", [False, True])
def test_a_net_proves_itself(
    language: str, apart: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if apart:
        monkeypatch.setattr(generating, "MOST_TEXT_BYTES", 100)
    net = made(*two_headed())
    assert (net.weights is not None) is apart
    assert run(net, tmp_path, language) == 0


@needs_compilers
@pytest.mark.parametrize("output", [0, 1])
def test_the_first_image_with_another_answer_is_named(output: int, tmp_path: Path) -> None:
    model, vectors = two_headed()
    name = list(vectors.outputs)[output]
    wrong = vectors.outputs[name].copy()
    wrong[1].flat[-1] = np.nextafter(wrong[1].flat[-1], np.float32(9))
    vectors = replace(vectors, outputs={**vectors.outputs, name: wrong})
    assert run(made(model, vectors), tmp_path) == 2
    near = dict.fromkeys(vectors.outputs, 0.0) | {name: 1e-5}
    assert run(made(model, replace(vectors, allowed=near)), tmp_path) == 0


@needs_compilers
def test_a_damaged_weight_is_found(tmp_path: Path) -> None:
    model, vectors = two_headed()
    net = made(model, vectors)
    number = re.search(r"static const int8_t ALIGNED \w+\[\d+\] = \{\s*(-?\d+),", net.source)
    assert number
    start, end = number.span(1)
    source = f"{net.source[:start]}{int(number[1]) // 2 - 20}{net.source[end:]}"
    assert run(replace(net, source=source), tmp_path) == 1


def test_without_golden_images_there_is_none() -> None:
    model, vectors = two_headed()
    plain, proved = made(model, None), made(model, vectors)
    assert "SELFTEST" not in plain.source + plain.header
    assert proved.source.startswith(plain.source)
    assert "int net_selftest(void);" in proved.header


def test_a_bundles_variant_brings_its_golden_images(make_bundle: MakeBundle) -> None:
    exact = {"tolerances": {"logits": Tolerance(sqnr_db=10.0, bit_exact=True)}}
    bundle = make_bundle(changes={"int8": exact, "fp32": {"preprocessing": False}})
    true, own = golden(bundle), expected(bundle, bundle.variant("int8")).outputs["logits"]
    int8 = read_vectors(bundle.locate("int8"))
    assert int8 is not None
    assert int8.allowed == {"logits": 0.0}
    assert np.array_equal(int8.inputs, true.images[[0, 10, 21, 31]])
    assert np.array_equal(int8.outputs["logits"], own[[0, 10, 21, 31]])
    fp32 = read_vectors(bundle.locate("fp32"))
    assert fp32 is not None
    assert fp32.allowed == {"logits": 1e-4}
    assert np.array_equal(fp32.outputs["logits"], true.outputs["logits"][[0, 10, 21, 31]])
    pixels = (true.images[31].transpose(2, 0, 1) / 255).astype(np.float32)
    mean, std = (np.reshape(each, (3, 1, 1)) for each in (CONTRACT.mean, CONTRACT.std))
    np.testing.assert_allclose(fp32.inputs[3], (pixels - mean) / std, rtol=1e-4, atol=1e-5)


def test_without_a_limit_it_is_what_the_variant_itself_is_off(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    true = golden(bundle).outputs["logits"]
    own = expected(bundle, bundle.variant("int8")).outputs["logits"]
    found = read_vectors(bundle.locate("int8"))
    assert found is not None
    assert found.allowed["logits"] == 2 * np.abs(own - true).max()


def test_a_plain_file_has_none(make_bundle: MakeBundle) -> None:
    assert read_vectors(plain_file(str(make_bundle().folder / "fp32.onnx"))) is None
