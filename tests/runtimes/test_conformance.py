"""What every runtime on the shelf, and anybody's own, must do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

from edgecnn.errors import InputError, ModelError, RuntimeCrashed, UnavailableError
from edgecnn.graph.clean import from_bytes, to_bytes
from edgecnn.graph.prefix import put_preprocessing_in_front
from edgecnn.runtime import (
    CheckedSession,
    TensorSpec,
    load_runtime,
    most_threads,
    open_session,
)
from edgecnn.spec import Variant
from tests.conftest import CONTRACT, TinyNet
from tests.runtimes import graphs
from tests.runtimes.conftest import MINE, Place

Spoil = Callable[[graphs.Arrays], object]


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> graphs.Case:
    file = graphs.save(graphs.many(), tmp_path_factory.mktemp("graphs") / "many.onnx")
    specs = graphs.MANY_INPUTS, graphs.MANY_OUTPUTS
    return graphs.Case(file, *specs, graphs.many_arrays, graphs.many_expected)


@pytest.fixture(scope="session")
def one(tmp_path_factory: pytest.TempPathFactory) -> graphs.Case:
    file = graphs.save(graphs.one(), tmp_path_factory.mktemp("graphs") / "one.onnx")
    specs = graphs.ONE_INPUT, graphs.ONE_OUTPUTS
    return graphs.Case(file, *specs, graphs.one_arrays, graphs.one_expected)


@pytest.fixture
def case(place: Place, many: graphs.Case, one: graphs.Case) -> graphs.Case:
    """A graph of all that the runtime takes: many inputs and types, or a single image."""
    return many if place.takes("inputs") and place.takes("types") else one


@pytest.fixture(scope="session")
def nets(tiny_net: TinyNet, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Variant]:
    folder, found = tmp_path_factory.mktemp("nets"), {}
    for precision in ("fp32", "int8"):
        content = tiny_net.onnx(precision, preprocessing=False)
        model = put_preprocessing_in_front(from_bytes(content, where=precision), CONTRACT)
        (folder / f"{precision}.onnx").write_bytes(to_bytes(model))
        draft = graphs.variant(folder / f"{precision}.onnx")
        found[precision] = replace(draft, preprocessing=True)
    return found


@pytest.fixture(params=["fp32", "int8"])
def net(place: Place, request: pytest.FixtureRequest, nets: dict[str, Variant]) -> Variant:
    if request.param == "int8":
        place.needs("int8")
    return nets[request.param]


def test_contract(place: Place) -> None:
    adapter = load_runtime(place.runtime)
    assert Path(place.runtime).name == adapter.NAME
    assert "onnx" in adapter.FORMATS or hasattr(adapter, "convert")
    assert place.provider in adapter.PROVIDERS
    assert adapter.availability(place.provider).ok


def test_specs_are_the_graphs(place: Place, case: graphs.Case) -> None:
    with place.open(case.variant) as session:
        assert session.inputs == case.inputs
        assert session.outputs == case.outputs


@pytest.mark.parametrize("count", [1, 2, 7])
def test_many_inputs_outputs_and_types(place: Place, case: graphs.Case, count: int) -> None:
    _batch(place, count)
    arrays = case.arrays(count)
    with place.open(case.variant) as session:
        _assert_same(session.run(arrays), case.expected(arrays))


@pytest.mark.parametrize("count", [1, 3])
def test_net_is_right(place: Place, net: Variant, tiny_net: TinyNet, count: int) -> None:
    _batch(place, count)
    images = tiny_net.images[:count]
    with place.open(net) as session:
        logits = _logits(session, images)
    exact = tiny_net.exact(images)
    allowed = 1e-5 if net.name == "fp32.onnx" else 0.05
    assert np.abs(logits - exact).max() <= allowed * np.abs(exact).max()


def test_an_image_alone_and_among_others(place: Place, net: Variant, tiny_net: TinyNet) -> None:
    place.needs("batch")
    with place.open(net) as session:
        together = _logits(session, tiny_net.images[:5])
        alone = [_logits(session, tiny_net.images[i : i + 1]) for i in range(5)]
    np.testing.assert_allclose(np.concatenate(alone), together, rtol=1e-4, atol=1e-5)


def test_runs_are_repeatable(place: Place, net: Variant, tiny_net: TinyNet) -> None:
    pixels = {"pixels": _some(place, tiny_net, 8)}
    with place.open(net) as one, place.open(net) as two:
        first = one.run(pixels)
        _assert_same(one.run(pixels), first)
        _assert_same(two.run(pixels), first)


def test_sessions_do_not_mix(
    place: Place, case: graphs.Case, net: Variant, tiny_net: TinyNet
) -> None:
    arrays, pixels = case.arrays(), {"pixels": _some(place, tiny_net, 2)}
    with place.open(case.variant) as one, place.open(net) as two:
        logits = two.run(pixels)
        _assert_same(one.run(arrays), case.expected(arrays))
        _assert_same(two.run(pixels), logits)
        one.close()
        _assert_same(two.run(pixels), logits)


def test_several_threads_may_call_one_session(
    place: Place, net: Variant, tiny_net: TinyNet
) -> None:
    with place.open(net) as session:
        images = [tiny_net.images[number : number + 1] for number in range(4)]
        alone = [session.run({"pixels": image})["logits"] for image in images]

        def call(caller: int) -> bool:
            found = (session.run({"pixels": images[caller]})["logits"] for _ in range(50))
            return all((each == alone[caller]).all() for each in found)

        with ThreadPoolExecutor(4) as callers:
            assert list(callers.map(call, range(4))) == [True] * 4


def test_inputs_are_left_alone(place: Place, case: graphs.Case) -> None:
    arrays = case.arrays()
    before = {name: value.copy() for name, value in arrays.items()}
    with place.open(case.variant) as session:
        for value in session.run(arrays).values():
            value[...] = 0
    _assert_same(arrays, before)


def test_outputs_belong_to_the_caller(place: Place, case: graphs.Case) -> None:
    one, two = case.arrays(2), case.arrays(3)
    with place.open(case.variant) as session:
        first = session.run(one)
        session.run(two)
        _assert_same(first, case.expected(one))
        for value in first.values():
            value[...] = 0
        _assert_same(session.run(one), case.expected(one))


@pytest.mark.parametrize(
    "lay_out",
    [
        pytest.param(lambda a: np.repeat(a, 2, axis=0)[::2], id="strided"),
        pytest.param(lambda a: a[::-1].copy()[::-1], id="backwards"),
        pytest.param(np.asfortranarray, id="fortran"),
        pytest.param(lambda a: _unaligned(a), id="unaligned"),
        pytest.param(lambda a: _read_only(a), id="read-only"),
    ],
)
def test_memory_layout_does_not_matter(
    place: Place,
    case: graphs.Case,
    lay_out: Callable[[NDArray[np.generic]], NDArray[np.generic]],
) -> None:
    arrays = case.arrays(5)
    laid = {name: lay_out(value) if value.ndim else value for name, value in arrays.items()}
    _assert_same(laid, arrays)
    with place.open(case.variant) as session:
        _assert_same(session.run(laid), case.expected(arrays))
        session.prepare(laid)()


def test_prepared_call_gives_the_same(place: Place, net: Variant, tiny_net: TinyNet) -> None:
    images = _some(place, tiny_net, 4)
    with place.open(net) as session:
        call = session.prepare({"pixels": images})
        for _ in range(2):
            outputs = call()
            if isinstance(outputs, list):  # an engine may keep its outputs to itself
                np.testing.assert_array_equal(outputs[0], _logits(session, images))


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda a: a.pop("a"), id="one-missing"),
        pytest.param(lambda a: a.clear(), id="all-missing"),
        pytest.param(lambda a: a.update(more=a["a"]), id="unknown"),
        pytest.param(lambda a: a.update(a=a["a"].tolist()), id="list"),
        pytest.param(lambda a: a.update(a=a["a"].astype("f8")), id="dtype"),
        pytest.param(lambda a: a.update(a=a["a"].astype(">f4")), id="big-endian"),
        pytest.param(lambda a: a.update(a=a["a"][0]), id="rank"),
        pytest.param(lambda a: a.update(a=a["a"][:, :2]), id="size"),
        pytest.param(lambda a: a.update(a=a["a"][:0]), id="empty"),
        pytest.param(lambda a: a.update(a=a["a"] * np.float32(np.nan)), id="nan"),
        pytest.param(lambda a: a.update(a=a["a"] / np.float32(1e-45)), id="infinity"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_wrong_inputs_are_refused(place: Place, case: graphs.Case, spoil: Spoil) -> None:
    arrays = case.arrays()
    spoil(arrays)
    with place.open(case.variant) as session:
        for use in (session.run, session.prepare):
            with pytest.raises(InputError) as refusal:
                use(arrays)
            assert refusal.value.exit_code == 2
            assert refusal.value.remedy
        _assert_same(session.run(case.arrays()), case.expected(case.arrays()))


def test_signed_bytes_are_no_pixels(place: Place, net: Variant, tiny_net: TinyNet) -> None:
    with place.open(net) as session:
        for use in (session.run, session.prepare):
            with pytest.raises(InputError, match="int8"):
                use({"pixels": _some(place, tiny_net, 2).astype("i1")})


@pytest.mark.parametrize("fault", ["missing", "empty", "truncated", "garbage", "text"])
def test_wrong_files_are_refused(
    place: Place,
    fault: str,
    nets: dict[str, Variant],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    own = place.own(nets["fp32"])
    files = tuple(str(shutil.copy(file, tmp_path)) for file in own.files)
    path, whole = Path(files[0]), own.path.read_bytes()
    contents = {
        "empty": b"",
        "truncated": whole[: len(whole) // 2],
        "garbage": np.random.default_rng(0).bytes(4096),
        "text": b"This is no model.\n" * 9,
    }
    path.unlink()
    if fault in contents:
        path.write_bytes(contents[fault])
    with pytest.raises(ModelError) as refusal:
        place.open(replace(own, files=files))
    assert path.name in refusal.value.problem
    _assert_quiet(refusal.value, capfd)


def test_an_unknown_operator_is_refused(
    place: Place, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = graphs.one()
    content.graph.node[0].op_type = "Abacus"
    with pytest.raises(ModelError) as refusal:
        place.open(graphs.save(content, tmp_path / "model.onnx"))
    _assert_quiet(refusal.value, capfd)


def test_failure_in_a_run(place: Place, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    place.needs("batch")  # where each size is fixed, what does not fit is refused before
    if not place.reads_onnx:
        pytest.skip("a graph that not all of its sizes fit is not converted")
    shape = {"shape": np.array([2, 3])}
    inputs, outputs = TensorSpec("x", "float32", ("N",)), TensorSpec("y", "float32", (2, 3))
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    reshape = graphs.model([node], (inputs,), (outputs,), shape)
    with place.open(graphs.save(reshape, tmp_path / "reshape.onnx")) as session:
        with pytest.raises(RuntimeCrashed) as crash:
            session.run({"x": np.zeros(5, np.float32)})
        assert "\n" not in str(crash.value)
        assert capfd.readouterr() == ("", "")
        assert session.run({"x": np.zeros(6, np.float32)})["y"].shape == (2, 3)


def test_unknown_provider_is_refused(place: Place, case: graphs.Case) -> None:
    with pytest.raises(UnavailableError, match="abacus") as refusal:
        open_session(case.variant, runtime=place.runtime, provider="abacus")
    assert refusal.value.exit_code == 3
    assert refusal.value.remedy


@pytest.mark.parametrize("spell", [str.upper, lambda name: f"{name.upper()}ExecutionProvider"])
def test_provider_is_what_was_asked(
    place: Place, case: graphs.Case, spell: Callable[[str], str]
) -> None:
    with Place(place.runtime, spell(place.provider)).open(case.variant) as session:
        assert session.provider == place.provider
        assert session.runtime == load_runtime(place.runtime).NAME


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_no_answer(
    place: Place, net: Variant, tiny_net: TinyNet, threads: int
) -> None:
    images = _some(place, tiny_net, 8)
    most = most_threads(load_runtime(place.runtime))
    if most is not None and threads > most:
        with pytest.raises(InputError, match=f"{most} thread.*not on {threads}"):
            place.open(net, threads)
        return
    with place.open(net) as one, place.open(net, threads) as several:
        assert several.threads == threads
        found, expected = _logits(several, images), _logits(one, images)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_no_threads_are_refused(place: Place, case: graphs.Case) -> None:
    with pytest.raises(InputError, match="threads"):
        place.open(case.variant, threads=0)


def test_closing(place: Place, case: graphs.Case) -> None:
    session = place.open(case.variant)
    session.close()
    session.close()
    for use in (session.run, session.prepare):
        with pytest.raises(InputError, match="closed"):
            use(case.arrays())


def test_format_it_does_not_read(place: Place, tmp_path: Path) -> None:
    drawing = Variant("drawing", "fp32", "papyrus", (str(tmp_path / "drawing"),))
    with pytest.raises(InputError, match="papyrus"):
        place.open(drawing)


def test_runtime_named_by_a_relative_path(
    many: graphs.Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(MINE).parent)
    with open_session(many.variant, runtime="./mine") as session:
        assert (session.runtime, session.provider) == ("mine", "cpu")


def _logits(session: CheckedSession, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    logits = session.run({"pixels": images})["logits"]
    assert logits.dtype == np.float32
    return logits.astype(np.float32)


def _assert_same(found: graphs.Arrays, expected: graphs.Arrays) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert isinstance(found[name], np.ndarray)
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)


def _unaligned(array: NDArray[np.generic]) -> NDArray[np.generic]:
    memory = np.frombuffer(b"\0" + array.tobytes(), np.uint8)
    return memory[1:].view(array.dtype).reshape(array.shape)


def _read_only(array: NDArray[np.generic]) -> NDArray[np.generic]:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def _assert_quiet(error: ModelError, capfd: pytest.CaptureFixture[str]) -> None:
    assert error.exit_code == 2
    assert "\n" not in str(error)
    assert capfd.readouterr() == ("", "")


def _batch(place: Place, count: int) -> None:
    if count > 1:
        place.needs("batch")


def _some(place: Place, tiny_net: TinyNet, count: int) -> NDArray[np.uint8]:
    """Give so many images, or one where the runtime takes one at a time."""
    return tiny_net.images[: count if place.takes("batch") else 1]
