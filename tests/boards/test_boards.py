"""A net in C on emulated microcontrollers: its answers, and that what is counted is so."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecnn import bundle as bundles
from edgecnn import convert
from edgecnn.boards import BOARDS, BoardReport, bench_boards, find_boards
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.golden import expected, make_expected
from edgecnn.graph.clean import from_bytes, to_bytes
from edgecnn.graph.prefix import put_preprocessing_in_front
from edgecnn.reports import read_report
from edgecnn.spec import InputContract, Tolerance
from tests.codegen.graphs import QuantizedNet
from tests.conftest import CONTRACT, MakeBundle, TinyNet, TypeCommand, bundle_maker

TOOLS = ("cc", "arm-none-eabi-gcc", "qemu-system-arm")
needs_boards = pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)),
    reason="needs `apt-get install gcc gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm`",
)


def on_pixels(model: onnx.ModelProto, contract: InputContract = CONTRACT) -> bytes:
    """Put edgecnn's own preprocessing in front of a net."""
    core = from_bytes(model.SerializeToString(), where="net.onnx")
    return bytes(to_bytes(put_preprocessing_in_front(core, contract)))


def float_net(tiny_net: TinyNet, contract: InputContract = CONTRACT) -> bytes:
    """Give the tiny net on pixels, of any size."""
    model = onnx.load_model_from_string(tiny_net.onnx(preprocessing=False))
    for axis, size in ((2, contract.height), (3, contract.width)):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size
    return on_pixels(model, contract)


def integer_net() -> bytes:
    """Give an int8 net on pixels, with nothing but integers between its ends.

    Its channels and runs leave remainders, whatever is computed together on a core.
    """
    net = QuantizedNet((1, 3, 8, 8))
    one = net.conv(net.conv(net.first, 10), 21, kernel=1)
    model = net.model(net.dense(net.max_pool(one), 4, 21 * 4 * 4))
    name = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["logits" if each == name else each for each in node.output]
    model.graph.output[0].name = "logits"
    return on_pixels(model)


@pytest.fixture(scope="module")
def bundle(tiny_net: TinyNet, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with C variants of the tiny net in fp32, and of an int8 net that promises bits."""
    promise = {"tolerances": {"logits": Tolerance(sqnr_db=-200.0, bit_exact=True)}, "batch": 1}
    made = bundle_maker(tiny_net, tmp_path_factory.mktemp("boards"))(
        files={"fp32": float_net(tiny_net), "int8": integer_net()}, changes={"int8": promise}
    )
    for source in ("fp32", "int8"):
        convert(made, "c", source=source, threads=1)
    return open_bundle(made.folder)


@pytest.fixture(scope="module")
def on_all_boards(bundle: Bundle) -> BoardReport:
    return bench_boards(bundle, ["all"])


@needs_boards
@pytest.mark.parametrize("board", [board.name for board in BOARDS])
def test_every_core_answers_as_this_machine(on_all_boards: BoardReport, board: str) -> None:
    fp32, int8 = (row for row in on_all_boards.rows if row.board == board)
    assert (int8.outcome, int8.promised, int8.equal, int8.largest_error) == ("pass", True, 4, 0)
    assert (fp32.outcome, fp32.promised) == ("pass", False)
    assert fp32.largest_error < 1e-4


@needs_boards
def test_what_is_counted_fits_the_net(on_all_boards: BoardReport, bundle: Bundle) -> None:
    macs = 8 * 8 * (10 * 3 * 3 * 3 + 21 * 10) + 4 * 336
    rows = {row.board: row for row in on_all_boards.rows if row.variant == "c-int8"}
    for row in rows.values():
        assert row.macs == macs
        assert row.instructions is not None
        assert row.instructions_per_mac == row.instructions / macs
        assert macs < row.instructions < 100 * macs
        assert row.stack is not None
        assert 0 < row.stack < 2048
        assert row.sizes is not None
        assert f"_ARENA_BYTES {row.sizes.arena}\n" in bundle.read("c-int8.h").decode()
        assert row.sizes.weights > 10 * 27 + 21 * 10 + 4 * 336
        assert 500 < row.sizes.code < 20_000
    floats = {row.board: row for row in on_all_boards.rows if row.variant == "c-fp32"}
    with_fpu, without = floats["cortex-m4"].instructions, floats["cortex-m3"].instructions
    assert with_fpu is not None
    assert without is not None
    assert without > 5 * with_fpu


@needs_boards
def test_the_command_prints_and_keeps_what_it_found(
    bundle: Bundle, type_command: TypeCommand
) -> None:
    command = ("bench", bundle.folder, "--runtime", "c", "--board", "cortex-m4")
    done = type_command(*command)
    assert done.code == 0
    assert "no cycles: they say nothing of a device's time" in done.out
    assert [line.split()[:2] for line in done.out.splitlines() if "cortex" in line] == [
        ["c-fp32", "cortex-m4"],
        ["c-int8", "cortex-m4"],
    ]
    assert done.out.splitlines()[4].endswith(" equal")
    assert max(map(len, done.out.splitlines())) <= 80
    report = read_report(sorted((bundle.folder / "reports").glob("*bench-boards*"))[-1])
    ends = ("c", "h", "json")
    files = {f"c-{precision}.{end}" for precision in ("fp32", "int8") for end in ends}
    assert set(report.measured) == {"golden.npz", *files}
    assert type_command(*command, "--variant", "c-int8", "--json").code == 0


@needs_boards
def test_a_wrong_answer_ends_with_exit_code_1(
    bundle: Bundle, tmp_path: Path, type_command: TypeCommand
) -> None:
    copy = open_bundle(shutil.copytree(bundle.folder, tmp_path / "copy"))
    variant = copy.variant("c-int8")
    outputs = expected(copy, variant).outputs["logits"].copy()
    outputs[0, 0] = np.nextafter(outputs[0, 0], np.float32(9))
    changed = make_expected({"logits": outputs}, runtime="c", provider="cpu")
    bundles.extend(copy, {"c-int8.golden.npz": changed}, variant)
    done = type_command("bench", copy.folder, "--board", "cortex-m4", "--variant", "c-int8")
    assert done.code == 1
    assert " wrong\n" in done.out
    assert "1 of 4 images are not equal bit for bit" in done.err


@needs_boards
def test_a_net_that_is_too_large_is_one_sentence_with_both_figures(
    tiny_net: TinyNet, tmp_path: Path, type_command: TypeCommand
) -> None:
    side = 80
    images = np.random.default_rng(0).integers(
        0, 256, (len(tiny_net.images), side, side, 3), np.uint8
    )
    contract = replace(CONTRACT, height=side, width=side)
    large = replace(tiny_net, images=images)
    made = bundle_maker(large, tmp_path)(
        variants=("fp32",),
        contract=contract,
        files={"fp32": float_net(tiny_net, contract)},
        golden_images=2,
    )
    convert(made, "c", threads=1)
    done = type_command("bench", made.folder, "--board", "cortex-m0,cortex-m3")
    assert done.code == 2
    assert "'c-fp32' does not fit cortex-m0 (microbit): it needs " in done.err
    assert " bytes of RAM of 16,384, with the image, the answer and the stack.\n" in done.err
    assert " close\n" in done.out  # the other board's row is there


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--board", "cortex-m5"), "There is no board 'cortex-m5'.\nUse cortex-m0, cortex-m3, "),
        (("--board", "all", "--threads", 2), "on a microcontroller: leave --threads out."),
        (("--board", "all", "--runtime", "ort"), "A board runs plain C, not ort: say --runtime c."),
    ],
)
def test_what_says_nothing_of_a_board_is_refused(
    arguments: tuple[object, ...], text: str, make_bundle: MakeBundle, type_command: TypeCommand
) -> None:
    done = type_command("bench", make_bundle(variants=()).folder, *arguments)
    assert (done.code, done.out) == (2, "")
    assert text in done.err


@needs_boards
@pytest.mark.parametrize(("variant", "text"), [("int8", "'int8' is onnx; boards run plain C.")])
def test_only_plain_c_runs_on_a_board(
    bundle: Bundle, type_command: TypeCommand, variant: str, text: str
) -> None:
    done = type_command("bench", bundle.folder, "--board", "all", "--variant", variant)
    assert (done.code, done.out) == (2, "")
    assert text in done.err
    assert "--format c --from int8" in done.err


def test_missing_tools_are_named_with_their_packages(
    tmp_path: Path,
    make_bundle: MakeBundle,
    type_command: TypeCommand,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = make_bundle(variants=())
    monkeypatch.setenv("PATH", str(tmp_path))
    done = type_command("bench", made.folder, "--board", "cortex-m4")
    assert done.code == 3
    assert "arm-none-eabi-gcc and qemu-system-arm are missing" in done.err
    assert "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm" in done.err


def test_a_board_is_named_once() -> None:
    assert [board.name for board in find_boards(["cortex-m4", "cortex-m4"])] == ["cortex-m4"]
    assert find_boards(["cortex-m7", "all"])[0].name == "cortex-m7"
    assert len(find_boards(["cortex-m7", "all"])) == len(BOARDS)
