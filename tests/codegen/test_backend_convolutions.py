"""The cases of ONNX's own backend suite for convolutions, pools, means and products."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from edgecnn.codegen import Generated, generate
from edgecnn.errors import ModelError
from tests.codegen.backend import Case, case, names
from tests.codegen.compiled import KERNELS, WARNINGS, Compiled

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="There is no C compiler: `apt-get install gcc`."
)
WEIGHTS = (1, 2)
_SOLID = "which works on [{}], not on a picture of one or two axes"

# Where in the suite, which inputs are constants, and what is refused, with its reason.
SUITE: list[tuple[str, tuple[int, ...], dict[str, str]]] = [
    ("conv", WEIGHTS, {}),
    (
        "convtranspose",
        WEIGHTS,
        {
            "test_convtranspose_3d": _SOLID.format("1, 1, 3, 4, 5"),
            "test_convtranspose_group_2_image_3": "which works on 3 pictures at once, and C on one",
        },
    ),
    ("gemm", WEIGHTS, {}),
    ("gemm", (0, 2), {}),
    (
        "gemm",
        (),
        {
            "test_gemm_all_attributes": "which adds 0.35 times something that is computed",
            "test_gemm_beta": "which adds 0.5 times something that is computed",
        },
    ),
    ("matmul", (1,), {}),
    ("matmul", (0,), {}),
    ("matmul", (), {}),
    (
        "maxpool",
        (),
        {
            "test_maxpool_3d_default": _SOLID.format("1, 3, 32, 32, 32"),
            "test_maxpool_3d_dilations": _SOLID.format("1, 1, 4, 4, 4"),
            "test_maxpool_3d_dilations_use_ref_impl": _SOLID.format("1, 1, 4, 4, 4"),
            "test_maxpool_3d_dilations_use_ref_impl_large": _SOLID.format("1, 1, 32, 32, 32"),
            **dict.fromkeys(
                (
                    "test_maxpool_with_argmax_2d_precomputed_pads",
                    "test_maxpool_with_argmax_2d_precomputed_strides",
                ),
                "which gives the places of what it finds, too",
            ),
        },
    ),
    (
        "averagepool",
        (),
        {
            "test_averagepool_3d_default": _SOLID.format("1, 3, 32, 32, 32"),
            "test_averagepool_3d_dilations_small": _SOLID.format("1, 1, 4, 4, 4"),
            **{
                f"test_averagepool_3d_dilations_large_count_include_pad_is_{count}"
                f"_ceil_mode_is_{ceil}": _SOLID.format("1, 1, 32, 32, 32")
                for count in (0, 1)
                for ceil in (False, True)
            },
        },
    ),
    ("globalaveragepool", (), {}),
    ("globalmaxpool", (), {}),
    ("reducemean", (), {}),
    ("reducemax", (), {}),
]


@pytest.mark.parametrize(
    ("module", "constant", "refused"), SUITE, ids=[f"{each[0]}{list(each[1])}" for each in SUITE]
)
def test_the_cases_of_the_backend_suite(
    module: str, constant: tuple[int, ...], refused: Mapping[str, str], tmp_path: Path
) -> None:
    found = [case(name, module, constant=constant) for name in names(module, constant=constant)]
    made, reasons = _compile(found, tmp_path)
    assert len(made) > 0
    assert {name: why.split(", ", 1)[1] for name, why in reasons.items()} == {
        name: f"{why}." for name, why in refused.items()
    }
    for each in found:
        if each.name in made:
            answers = Compiled(made[each.name], tmp_path).run(each.row)
            for name, expected in each.expected.items():
                assert answers[name].shape == expected.shape, each.name
                # As the suite itself compares: some of its answers have four digits.
                np.testing.assert_allclose(
                    answers[name], expected, rtol=1e-3, atol=1e-6, err_msg=each.name
                )


def _compile(given: Sequence[Case], folder: Path) -> tuple[dict[str, Generated], dict[str, str]]:
    """Compile all that C can be made of at once: a compiler's start takes longest."""
    made, reasons = {}, {}
    for each in given:
        name, content = each.name, each.model.SerializeToString()
        try:
            one = generate(content, where=name, name=name, prefix=name, kernels=KERNELS)
        except ModelError as error:
            reasons[name] = error.problem
            continue
        (folder / f"{name}.c").write_text(one.source)
        (folder / f"{name}.h").write_text(one.header)
        made[name] = one
    flags = ["-std=c99", "-O1", *WARNINGS, "-shared", "-fPIC", "-o", "net.so"]
    done = subprocess.run(
        ["cc", *flags, *(f"{name}.c" for name in made)], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[:4000]
    return made, reasons
