from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgecnn
from edgecnn.errors import BundleError, DataError, InputError, ModelError, UnavailableError
from edgecnn.predictor import Predictor, softmax
from edgecnn.spec import InputContract

if TYPE_CHECKING:
    from tests.conftest import MakeBundle, TinyNet


@pytest.fixture
def predictor(make_bundle: MakeBundle) -> Iterator[Predictor]:
    with edgecnn.load(make_bundle(variants=("fp32",)), threads=1) as found:
        yield found


def test_run_gives_the_nets_outputs(predictor: Predictor, tiny_net: TinyNet) -> None:
    outputs = predictor.run(tiny_net.images)
    np.testing.assert_allclose(outputs, tiny_net.exact(tiny_net.images), atol=1e-4)


def test_one_image_several_ways(predictor: Predictor, tiny_net: TinyNet) -> None:
    image = tiny_net.images[0]
    wanted = predictor.run(tiny_net.images[:1])
    assert wanted.shape == (1, 4)
    for images in (image, [image], (image,), iter([image]), image[None]):
        np.testing.assert_array_equal(predictor.run(images), wanted)


def test_normalising_outside_is_what_the_graph_does_inside(
    make_bundle: MakeBundle, tiny_net: TinyNet
) -> None:
    inside = make_bundle("inside", variants=("fp32",))
    outside = make_bundle("outside", variants=("fp32",), changes={"fp32": {"preprocessing": False}})
    with edgecnn.load(inside, threads=1) as one, edgecnn.load(outside, threads=1) as other:
        assert other.session.inputs[0].dtype == "float32"
        np.testing.assert_array_equal(one.run(tiny_net.images), other.run(tiny_net.images))


def test_normalise_follows_the_contract(predictor: Predictor, tiny_net: TinyNet) -> None:
    from edgecnn.predictor import normalise

    contract = predictor.contract
    wanted = (tiny_net.images * contract.scale - contract.mean) / np.array(contract.std)
    found = normalise(contract, tiny_net.images)
    assert (found.shape, str(found.dtype)) == ((200, 3, 8, 8), "float32")
    np.testing.assert_allclose(found, wanted.transpose(0, 3, 1, 2), atol=1e-5)


@pytest.mark.parametrize("count", [1, 3, 4, 10])
def test_a_fixed_batch_is_filled_and_cut(
    make_bundle: MakeBundle, tiny_net: TinyNet, count: int
) -> None:
    bundle = make_bundle(variants=("fp32",), changes={"fp32": {"batch": 4}}, golden_images=8)
    with edgecnn.load(bundle, threads=1) as predictor:
        outputs = predictor.run(tiny_net.images[:count])
    assert outputs.shape == (count, 4)
    np.testing.assert_allclose(outputs, tiny_net.exact(tiny_net.images[:count]), atol=1e-4)


def test_batches_are_bounded(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    bundle = make_bundle(variants=("fp32",))
    asked: list[int] = []

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for number, image in enumerate(tiny_net.images):
            asked.append(number)
            yield image

    with edgecnn.load(bundle, threads=1, batch_size=7) as predictor:
        shapes = []
        run = predictor.session.run

        def watch(inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
            shapes.append(next(iter(inputs.values())).shape[0])
            assert len(asked) <= 7 * len(shapes)
            return run(inputs)

        predictor.session.run = watch  # type: ignore[method-assign, assignment]
        outputs = predictor.run(pictures())
    assert shapes == [7] * 28 + [4]
    np.testing.assert_allclose(outputs, tiny_net.exact(tiny_net.images), atol=1e-4)


def test_the_default_batch_is_1_mib_of_input(predictor: Predictor) -> None:
    assert predictor.batch_size == (1 << 20) // (8 * 8 * 3 * 4)


def test_predict_ranks_classes(predictor: Predictor, tiny_net: TinyNet) -> None:
    exact = tiny_net.exact(tiny_net.images[:5])
    found = predictor.predict(tiny_net.images[:5], top=3)
    for prediction, logits in zip(found, exact, strict=True):
        order = np.argsort(-logits)[:3].tolist()
        assert [answer.index for answer in prediction.ranked] == order
        names = [predictor.contract.labels[index] for index in order]
        assert [answer.label for answer in prediction.ranked] == names
        share = np.exp(logits[order[0]]) / np.exp(logits).sum()
        assert prediction.probability == pytest.approx(share, abs=1e-4)
        assert (prediction.label, prediction.index) == (names[0], order[0])


def test_predict_gives_all_classes_at_most(predictor: Predictor, tiny_net: TinyNet) -> None:
    ranked = predictor.predict(tiny_net.images[0], top=99)[0].ranked
    assert sum(answer.probability for answer in ranked) == pytest.approx(1)
    assert sorted(answer.index for answer in ranked) == [0, 1, 2, 3]


def test_of_equals_the_lower_index_is_first(predictor: Predictor) -> None:
    row = np.array([0.2, 0.4, 0.4, 0.0])
    assert [answer.index for answer in predictor._ranked(row, 4).ranked] == [1, 2, 0, 3]


def test_softmax_survives_large_logits() -> None:
    np.testing.assert_allclose(softmax(np.array([[1000.0, 1000.0, -1000.0]])), [[0.5, 0.5, 0]])


def change_contract(predictor: Predictor, **changes: Any) -> None:
    predictor.contract = replace(predictor.contract, **changes)


def test_probabilities_stay_as_they_are(predictor: Predictor, tiny_net: TinyNet) -> None:
    change_contract(predictor, output_kind="probabilities")
    best = predictor.predict(tiny_net.images[0])[0]
    assert best.probability == pytest.approx(tiny_net.exact(tiny_net.images[:1]).max(), abs=1e-4)


def test_without_names_the_index_is_the_label(predictor: Predictor, tiny_net: TinyNet) -> None:
    change_contract(predictor, labels=())
    best = predictor.predict(tiny_net.images[0])[0]
    assert best.label == str(best.index)


def test_other_outputs_are_not_predictions(predictor: Predictor, tiny_net: TinyNet) -> None:
    change_contract(predictor, output_kind="other")
    with pytest.raises(InputError, match=r"not classes.*\.run\(images\)"):
        predictor.predict(tiny_net.images[0])
    assert predictor.run(tiny_net.images[0]).shape == (1, 4)


def test_labels_must_fit_the_outputs(predictor: Predictor, tiny_net: TinyNet) -> None:
    change_contract(predictor, labels=("circle", "cross"))
    with pytest.raises(ModelError, match=r"\[1, 4\].*2 labels"):
        predictor.predict(tiny_net.images[0])


@pytest.mark.parametrize(
    ("images", "problem"),
    [
        (np.zeros((2, 8, 8, 3), np.float32), r"are float32.*uint8.*255"),
        (np.zeros((8, 8, 3)), "are float64"),
        (np.zeros((8, 8, 3), np.int8), "are int8"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"\[2, 3, 8, 8\].*\[N, 8, 8, 3\].*moveaxis"),
        (np.zeros((3, 8, 8), np.uint8), r"\[3, 8, 8\].*\[8, 8, 3\].*moveaxis"),
        (np.zeros((2, 9, 8, 3), np.uint8), r"\[2, 9, 8, 3\].*PIL"),
        (np.zeros((8, 8, 1), np.uint8), r"\[8, 8, 1\].*RGB"),
        (np.zeros((8, 8, 4), np.uint8), r"\[8, 8, 4\].*RGB"),
        (np.zeros((8, 8), np.uint8), r"\[8, 8\]"),
        (np.zeros((1, 1, 8, 8, 3), np.uint8), r"\[1, 1, 8, 8, 3\]"),
        (np.zeros((0, 8, 8, 3), np.uint8), "no images"),
        ([], "no images"),
        ([np.zeros((8, 8, 3), np.uint8), np.zeros((9, 8, 3), np.uint8)], r"\[9, 8, 3\]"),
        ([np.zeros((8, 8, 3), np.uint8), None], "NoneType is no image"),
        (None, "NoneType is no image"),
        (7, "int is no image"),
    ],
)
def test_what_is_no_image_is_refused(predictor: Predictor, images: Any, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        predictor.run(images)


def test_pictures_and_files_are_fitted(
    predictor: Predictor, tiny_net: TinyNet, tmp_path: Path
) -> None:
    from PIL import Image

    exact = Image.fromarray(tiny_net.images[0])
    large = exact.resize((40, 24), Image.Resampling.NEAREST)
    files = [tmp_path / "exact.png", tmp_path / "large.png"]
    exact.save(files[0])
    large.save(files[1])
    fitted = np.array(large.resize((8, 8), Image.Resampling.BILINEAR))
    wanted = predictor.run([tiny_net.images[0], fitted])
    np.testing.assert_array_equal(predictor.run([exact, large]), wanted)
    np.testing.assert_array_equal(predictor.run(files), wanted)
    np.testing.assert_array_equal(predictor.run([str(files[0]), large]), wanted)
    np.testing.assert_array_equal(predictor.run(str(files[1])), wanted[1:])
    np.testing.assert_array_equal(predictor.run(exact.convert("RGBA")), wanted[:1])


def test_files_that_are_no_pictures(predictor: Predictor, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"broken\.png is not an image"):
        predictor.run([broken])
    with pytest.raises(DataError, match=r"missing\.png"):
        predictor.run(tmp_path / "missing.png")


def test_top_must_leave_an_answer(predictor: Predictor, tiny_net: TinyNet) -> None:
    with pytest.raises(InputError, match="top=0"):
        predictor.predict(tiny_net.images[0], top=0)


@pytest.mark.parametrize(
    ("asked", "error", "problem"),
    [
        ({"variant": "int4"}, BundleError, "no variant 'int4'; it has fp32"),
        ({"runtime": "ortt"}, InputError, "no runtime 'ortt'"),
        ({"provider": "tpu"}, UnavailableError, "tpu"),
        ({"threads": 0}, InputError, "0 threads"),
        ({"batch_size": 0}, InputError, "batch of 0"),
        ({"options": {"speed": "high"}}, InputError, "no option 'speed'"),
    ],
)
def test_load_refuses(
    make_bundle: MakeBundle, asked: dict[str, Any], error: type[Exception], problem: str
) -> None:
    with pytest.raises(error, match=problem):
        edgecnn.load(make_bundle(variants=("fp32",)), **asked)


def test_a_fixed_batch_takes_no_other(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(variants=("fp32",), changes={"fp32": {"batch": 4}}, golden_images=8)
    with pytest.raises(InputError, match="batches of 4, not 2"):
        edgecnn.load(bundle, batch_size=2)


def test_a_flipped_bit_is_found(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(variants=("fp32",))
    file = bundle.folder / "fp32.onnx"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError, match=r"fp32\.onnx is not the file.*edgecnn export"):
        edgecnn.load(bundle)


def test_nan_is_no_prediction(make_bundle: MakeBundle, tiny_net: TinyNet) -> None:
    broken = replace(tiny_net, bias=np.full(4, np.nan, np.float32))
    bundle = make_bundle(variants=("fp32",), files={"fp32": broken.onnx()})
    with (
        edgecnn.load(bundle) as predictor,
        pytest.raises(ModelError, match=r"fp32\.onnx answers NaN"),
    ):
        predictor.predict(tiny_net.images[0])


def test_grey_images(make_bundle: MakeBundle) -> None:
    contract = InputContract(8, 8, color="gray", mean=(0.5,), std=(0.5,))
    with edgecnn.load(make_bundle(variants=("fp32",))) as predictor:
        predictor.contract = contract
        with pytest.raises(InputError, match=r"takes \[8, 8, 1\].*grey"):
            predictor.run(np.zeros((8, 8, 3), np.uint8))


DEVICE = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "torchvision", "onnx", "onnx_ir", "onnxscript"}:
            raise ImportError(f"{name} is not on this device")

sys.meta_path.insert(0, Blocker())
import numpy, edgecnn
folder = sys.argv[1]
with edgecnn.load(folder, threads=1) as predictor:
    print(len(predictor.predict(numpy.zeros((2, 8, 8, 3), "uint8"))))
print(edgecnn.predict(folder, "none.png").variant)
print(edgecnn.parity(folder, threads=1).verdict.outcome)
print(edgecnn.evaluate.__module__)
"""


def test_a_device_needs_neither_torch_nor_onnx(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", DEVICE, str(bundle.folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["2", "fp32", "pass", "edgecnn.evaluation.run"]
