"""What many tests share: a tiny net with two variants, in a bundle made without torch."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from numpy.typing import NDArray

from edgecnn import bundle as bundles
from edgecnn.bundle import Bundle
from edgecnn.data import Dataset, Split
from edgecnn.golden import make_expected, make_golden, make_npz
from edgecnn.records import sha256
from edgecnn.runtime import load_runtime
from edgecnn.spec import DataRef, InputContract, Parent, Tolerance, Variant

SIZE, CLASSES, FILTERS = 8, ("circle", "cross", "square", "star"), 6
CONTRACT = InputContract(
    SIZE, SIZE, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3), labels=CLASSES, output_kind="logits"
)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests out of the user's cache, and what is there out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def pytest_configure() -> None:
    # A shell's background job is born deaf to Ctrl-C, and so would be the commands under test.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--runtime", metavar="NAME|PATH", help="hold only this runtime to the conformance suite"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if on_gpu:
        cuda = load_runtime("ort").availability("cuda")
        if not cuda.ok:
            for item in on_gpu:
                item.add_marker(pytest.mark.skip(reason=cuda.reason))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Run the tests of a file in one process, so that what they share is made once.

    The blocks of one document need one another; those of two documents may run side by side.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            document = re.search(r"\[(\S+\.md):\d+\]$", test)
            return document[1] if document else file

    return Together(config, log)


@dataclass(frozen=True)
class TinyNet:
    """conv 3→6 k3, ReLU, global mean, fc 6→4; with images that it does not find all alike."""

    filters: NDArray[np.float32]
    matrix: NDArray[np.float32]
    bias: NDArray[np.float32]
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def exact(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Compute the logits in float64, from the textbook's sums."""
        means = self.maps(images).mean(axis=(2, 3))
        logits: NDArray[np.float64] = means @ self.matrix.T.astype("f8")
        return logits + self.bias

    def maps(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Compute what comes out of the ReLU in float64, [N, filters, 6, 6]."""
        pixels = (images / 255 - CONTRACT.mean) / np.array(CONTRACT.std)
        windows = np.lib.stride_tricks.sliding_window_view(pixels, (3, 3), axis=(1, 2))
        sums = np.einsum("nyxcij,fcij->nfyx", windows, self.filters.astype("f8"))
        maps: NDArray[np.float64] = np.maximum(sums, 0)
        return maps

    def onnx(
        self, precision: str = "fp32", *, preprocessing: bool = True, batch: int | str = "N"
    ) -> bytes:
        """Give the net as an ONNX file; int8 quantizes the convolution."""
        from onnx import TensorProto, helper, numpy_helper

        constants: dict[str, Any] = {"w": self.filters, "matrix": self.matrix}
        constants["bias"] = self.bias
        nodes, image = [], "pixels" if preprocessing else "image"
        if preprocessing:
            std = np.array(CONTRACT.std)
            constants["scale"] = (CONTRACT.scale / std).astype("f4")
            constants["mean"] = (np.array(CONTRACT.mean) / std).astype("f4")
            nodes = [
                helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
                helper.make_node("Mul", ["float", "scale"], ["scaled"]),
                helper.make_node("Sub", ["scaled", "mean"], ["shifted"]),
                helper.make_node("Transpose", ["shifted"], ["image"], perm=[0, 3, 1, 2]),
            ]
        conv_inputs = ["image", "w"]
        if precision == "int8":
            step = np.float32(np.abs(self.filters).max() / 127)
            constants |= {"x_scale": np.float32(0.03), "x_zero": np.uint8(100), "w_scale": step}
            constants["w"] = np.round(self.filters / step).astype(np.int8)
            constants["w_zero"] = np.int8(0)
            x, w = ["x_scale", "x_zero"], ["w_scale", "w_zero"]
            nodes += [
                helper.make_node("QuantizeLinear", ["image", *x], ["x_q"]),
                helper.make_node("DequantizeLinear", ["x_q", *x], ["x_dq"]),
                helper.make_node("DequantizeLinear", ["w", *w], ["w_dq"]),
            ]
            conv_inputs = ["x_dq", "w_dq"]
        nodes += [
            helper.make_node("Conv", conv_inputs, ["maps"], kernel_shape=[3, 3]),
            helper.make_node("Relu", ["maps"], ["rectified"]),
            helper.make_node("GlobalAveragePool", ["rectified"], ["means"]),
            helper.make_node("Flatten", ["means"], ["features"]),
            helper.make_node("Gemm", ["features", "matrix", "bias"], ["logits"], transB=1),
        ]
        shape = [batch, SIZE, SIZE, 3] if preprocessing else [batch, 3, SIZE, SIZE]
        kind = TensorProto.UINT8 if preprocessing else TensorProto.FLOAT
        graph = helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info(image, kind, shape)],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, len(CLASSES)])],
            [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
        )
        opset = helper.make_opsetid("", 18)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
        content: bytes = model.SerializeToString(deterministic=True)
        return content


@pytest.fixture(scope="session")
def tiny_net() -> TinyNet:
    """Give a net with fixed weights, and 200 images; about three in four labels are its own."""
    random = np.random.default_rng(7)
    colours = random.integers(30, 226, (200, 1, 1, 3))
    noise = random.integers(-30, 31, (200, SIZE, SIZE, 3))
    images = np.clip(colours + noise, 0, 255).astype(np.uint8)
    filters = random.normal(size=(FILTERS, 3, 3, 3)).astype(np.float32)
    matrix = random.normal(size=(len(CLASSES), FILTERS)).astype(np.float32)
    nothing = np.zeros(len(CLASSES), np.float32)
    draft = TinyNet(filters, matrix, nothing, images, np.zeros(200, np.int64))
    bias = -draft.exact(images).mean(axis=0).astype(np.float32)
    net = TinyNet(filters, matrix, bias, images, draft.labels)
    answers = net.exact(images).argmax(axis=1)
    labels = np.where(random.random(200) < 0.75, answers, random.integers(0, len(CLASSES), 200))
    return TinyNet(filters, matrix, bias, images, labels.astype(np.int64))


MakeBundle = Callable[..., Bundle]


@pytest.fixture
def make_bundle(tiny_net: TinyNet, tmp_path: Path) -> MakeBundle:
    """Give a function that makes a bundle of the tiny net, with data of its own.

    `files` replaces a variant's ONNX file by other bytes; `changes` other fields of its record.
    """
    return bundle_maker(tiny_net, tmp_path)


@pytest.fixture(scope="session")
def session_bundle(
    tiny_net: TinyNet, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Bundle]:
    """Give a function that makes a bundle of that name that outlives a test."""
    return lambda name: bundle_maker(tiny_net, tmp_path_factory.mktemp(name))(name)


def bundle_maker(tiny_net: TinyNet, tmp_path: Path) -> MakeBundle:
    """Give the function that `make_bundle` gives, for a folder."""

    def make(
        name: str = "tiny",
        *,
        variants: tuple[str, ...] = ("fp32", "int8"),
        contract: InputContract = CONTRACT,
        files: dict[str, bytes] | None = None,
        changes: dict[str, dict[str, Any]] | None = None,
        data: DataRef | None = None,
        golden_images: int = 32,
    ) -> Bundle:
        data = data or _data(tiny_net, tmp_path / f"{name}.npz")
        images, labels = tiny_net.images[:golden_images], tiny_net.labels[:golden_images]
        records, contents = [], {}
        if variants:
            contents[bundles.GOLDEN] = make_golden(
                images, labels, {"logits": tiny_net.exact(images)}
            )
        for precision in variants:
            change = (changes or {}).get(precision, {})
            content = (files or {}).get(precision) or _content(tiny_net, precision, change)
            contents[f"{precision}.onnx"] = content
            record = _variant(precision, contents, change)
            outputs = _outputs(contract, record, tmp_path, content, images)
            own = make_expected({"logits": outputs}, runtime="ort", provider="cpu")
            contents[f"{precision}.golden.npz"] = own
            records.append(record)
        manifest = bundles.new_manifest(name, contract, model=None, data=data, environment={})
        manifest = replace(manifest, variants=tuple(records))
        return bundles.create(tmp_path / name, manifest, contents)

    return make


@pytest.fixture
def two_headed(tiny_net: TinyNet, tmp_path: Path) -> Bundle:
    """A bundle whose nets give their features first, and then the scores; without data."""
    images, labels = tiny_net.images[:32], tiny_net.labels[:32]
    contents, records = {}, []
    exact: dict[str, NDArray[Any]] = {}
    for precision in ("fp32", "int8"):
        file = tmp_path / f"{precision}.onnx"
        file.write_bytes(_with_features(tiny_net.onnx(precision)))
        contents[file.name] = file.read_bytes()
        exact = exact or _run(file, images, "reference", {"precision": "float64"})
        outputs = _run(file, images, "ort", {})
        own = make_expected(outputs, runtime="ort", provider="cpu")
        contents[f"{precision}.golden.npz"] = own
        tolerances = {name: _tolerance(precision, name, outputs, exact) for name in exact}
        records.append(_variant(precision, contents, {"tolerances": tolerances}))
    contents[bundles.GOLDEN] = make_golden(images, labels, exact)
    contract = replace(CONTRACT, output="logits")
    manifest = bundles.new_manifest("two", contract, model=None, data=None, environment={})
    return bundles.create(tmp_path / "two", replace(manifest, variants=tuple(records)), contents)


def _run(
    file: Path, images: NDArray[np.uint8], runtime: str, options: dict[str, str]
) -> dict[str, NDArray[Any]]:
    from edgecnn.runtime import open_session, plain_file

    with open_session(
        plain_file(str(file)), runtime=runtime, threads=1, options=options
    ) as session:
        return dict(session.run({"pixels": images}))


def _tolerance(
    precision: str, name: str, outputs: dict[str, NDArray[Any]], exact: dict[str, NDArray[Any]]
) -> Tolerance:
    from edgecnn.agreement import quantized_tolerance

    if precision == "fp32":
        return Tolerance(atol=1e-4)
    return quantized_tolerance(
        outputs[name], exact[name], decisions=name == "logits", bit_exact=False
    )


def _with_features(content: bytes) -> bytes:
    from onnx import TensorProto, helper, load_model_from_string

    model = load_model_from_string(content)
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", FILTERS])
    model.graph.output.insert(0, features)
    changed: bytes = model.SerializeToString(deterministic=True)
    return changed


def _content(net: TinyNet, precision: str, change: dict[str, Any]) -> bytes:
    batch = change.get("batch", "dynamic")
    return net.onnx(
        precision,
        preprocessing=change.get("preprocessing", True),
        batch="N" if batch == "dynamic" else batch,
    )


def _variant(precision: str, contents: dict[str, bytes], change: dict[str, Any]) -> Variant:
    quantized = precision == "int8"
    parent = contents.get("fp32.onnx") if quantized else None
    values = {
        "name": precision,
        "precision": precision,
        "format": "onnx",
        "files": (f"{precision}.onnx",),
        "golden": f"{precision}.golden.npz",
        "made_by": "edgecnn export --quantize" if quantized else "edgecnn export",
        "parent": None if parent is None else Parent("fp32.onnx", sha256(parent)),
        "tolerances": {
            "logits": Tolerance(sqnr_db=40, top1=0.9) if quantized else Tolerance(atol=1e-4)
        },
    }
    return Variant(**(values | change))


def _outputs(
    contract: InputContract,
    variant: Variant,
    folder: Path,
    content: bytes,
    images: NDArray[np.uint8],
) -> NDArray[Any]:
    from edgecnn.predictor import Predictor
    from edgecnn.runtime import open_session

    file = folder / f"draft-{variant.files[0]}"
    file.write_bytes(content)
    located = replace(variant, files=(str(file),))
    with Predictor(contract, located, open_session(located, threads=1)) as predictor:
        return predictor.run(images)


def _data(net: TinyNet, path: Path) -> DataRef:
    train, test = Split(net.images[:80], net.labels[:80]), Split(net.images[80:], net.labels[80:])
    arrays: dict[str, NDArray[Any]] = {"x_train": train.images, "y_train": train.labels}
    arrays |= {"x_test": test.images, "y_test": test.labels, "labels": np.array(CLASSES)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(make_npz(arrays))
    return Dataset(path.stem, str(path), CLASSES, train, test).reference()


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


TypeCommand = Callable[..., Done]
HoldToSchema = Callable[[str | bytes], None]


@pytest.fixture(scope="session")
def hold_to_schema() -> HoldToSchema:
    """Give a function that holds a JSON document against the schema of its dataclass.

    That it is the published one is said in tests/schemas.
    """
    from edgecnn.schemas import making

    @cache
    def validator(kind: str, version: int) -> Any:
        return Draft202012Validator(making.schema_of(kind, making.kinds()[kind], version))

    def hold(text: str | bytes) -> None:
        document = json.loads(text)
        validator(document["kind"], document["body_version"]).validate(document)

    return hold


@pytest.fixture
def type_command(capsys: pytest.CaptureFixture[str], hold_to_schema: HoldToSchema) -> TypeCommand:
    """Give a function that runs `edgecnn` with some arguments, in this process.

    Whatever document `--json` prints is held against its schema.
    """
    from edgecnn.cli import main

    def run(*arguments: object) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        assert isinstance(stop.value.code, int)
        done = Done(stop.value.code, *capsys.readouterr())
        if "--json" in arguments and done.out:
            hold_to_schema(done.out)
        return done

    return run
