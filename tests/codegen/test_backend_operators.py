"""The cases of ONNX's own backend suite for all operators but convolutions, pools and matrices."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import ModelError
from tests.codegen.backend import case, names
from tests.codegen.compiled import FLAGS, compile_net, run_ort

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="There is no C compiler: `apt-get install gcc`."
)
# Operators all of whose inputs are computed, and those where all but the first are constant.
COMPUTED = ["add", "concat", "div", "mul", "prelu", "sub"]
CONSTANT = """
    abs batch_normalization cast clip dequantizelinear dropout elu erf exp expand flatten gather
    gelu hardsigmoid hardswish identity leakyrelu lrn neg pad quantizelinear relu reshape resize
    sigmoid slice softmax split sqrt squeeze tanh transpose unsqueeze upsample
""".split()  # noqa: SIM905 - a list of thirty words in quotes is not easier to read
REST = tuple(range(1, 10))

# What C is refused for: the beginning of cases' names, and what is said of them.
REFUSED = {
    "test_add_uint8": "which computes with whole numbers",
    "test_batchnorm_epsilon_training": "whose means are computed, not constant",
    "test_batchnorm_example_training": "whose means are computed, not constant",
    "test_dequantizelinear_blocked": "whose scales are neither one nor one for each channel",
    "test_div_uint8": "which computes with whole numbers",
    "test_lrn_default": r"which works on \[5, 5, 5, 5\], not on a picture",
    "test_lrn": "whose power is 0.5, not 0.75",
    "test_mul_uint8": "which computes with whole numbers",
    "test_quantizelinear_blocked": "whose scales are neither one nor one for each channel",
    "test_quantizelinear_e": "whose numbers are float8e.*, not bytes",
    "test_quantizelinear_float4": "whose numbers are float4e2m1, not bytes",
    "test_quantizelinear_int": "whose numbers are int.*, not bytes",
    "test_quantizelinear_uint": "whose numbers are uint.*, not bytes",
    "test_resize_downsample_scales_cubic": "whose mode is cubic, not nearest or linear",
    "test_resize_downsample_scales_linear_antialias": "which smooths before it makes smaller",
    "test_resize_downsample_sizes_cubic": "whose mode is cubic, not nearest or linear",
    "test_resize_downsample_sizes_linear_antialias": "which smooths before it makes smaller",
    "test_resize_tf_crop": "whose coordinates are tf_crop_and_resize",
    "test_resize_upsample_scales_cubic": "whose mode is cubic, not nearest or linear",
    "test_resize_upsample_sizes_cubic": "whose mode is cubic, not nearest or linear",
    "test_slice_start_out_of_bounds": "which gives no numbers at all",
    "test_split_zero_size": "contradicts itself at 'node'",
    "test_sub_uint8": "which computes with whole numbers",
    "test_training_dropout_default": "which leaves numbers out at random",
    "test_training_dropout_mask": "which leaves numbers out at random",
    "test_training_dropout_zero": None,  # it leaves out none
    "test_training_dropout": "which leaves numbers out at random",
}
# What ONNX Runtime answers otherwise than the suite expects, and C as ONNX Runtime does.
OTHERWISE = ["test_resize_downsample_scales_linear_align_corners"]
SUITE: dict[str, tuple[list[str], tuple[int, ...]]] = {
    **dict.fromkeys(names(*COMPUTED), (COMPUTED, ())),
    **dict.fromkeys(names(*CONSTANT, constant=REST), (CONSTANT, REST)),
}


@pytest.mark.parametrize("name", SUITE)
def test_a_case_answers_as_the_suite_expects(name: str, tmp_path: Path) -> None:
    modules, constant = SUITE[name]
    given = case(name, *modules, constant=constant)
    why = next((why for start, why in REFUSED.items() if name.startswith(start)), None)
    if why:
        with pytest.raises(ModelError, match=why):
            compile_net(given.model, tmp_path)
        return
    found = compile_net(given.model, tmp_path, (*FLAGS, "-O1")).run(given.row)
    expects = run_ort(given.model, {"row": given.row}) if name in OTHERWISE else given.expected
    for output, expected in expects.items():
        np.testing.assert_allclose(found[output], expected, rtol=1e-3, atol=1e-6)
        assert found[output].shape == expected.shape
