"""Engines that crash, hang, print or eat the memory: a row that says so, and the others go on."""

from __future__ import annotations

import json
import resource
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

import edgecnn
from edgecnn.errors import EdgeCNNError, RuntimeCrashed
from edgecnn.worker import Worker

if TYPE_CHECKING:
    from tests.conftest import MakeBundle, TinyNet, TypeCommand

TROUBLED = str(Path(__file__).parent / "troubled")
ONE = ("--variant", "fp32", "--threads", 1)


def trouble(*options: str, of: str = "") -> list[str]:
    """Give the options of the troubled runtime; by its name where it is one of several."""
    return [word for option in (*options, "classes=4") for word in ("--option", of + option)]


@pytest.mark.parametrize(
    ("what", "limit", "says"),
    [
        (("what=segfault", "when=open"), (), "crashed (SIGSEGV). Its last words: here it comes"),
        (("what=abort",), (), "crashed (SIGABRT)"),
        (("what=exit",), (), "ended by itself with exit code 7"),
        (("what=hang", "when=open"), ("--time-limit", "2s"), "hung: no answer within 2"),
        (("what=hang",), ("--time-limit", "2s"), "hung: no answer within 2"),
        (("what=leak",), ("--memory-limit", "200MB"), "The memory ran out for the runtime"),
        (("what=flood", "when=open"), (), "printed without end, more than 64 MB"),
    ],
)
def test_parity_goes_on_with_the_other_runtime(
    what: tuple[str, ...],
    limit: tuple[str, ...],
    says: str,
    make_bundle: MakeBundle,
    type_command: TypeCommand,
) -> None:
    folder = make_bundle(variants=("fp32",)).folder
    options = trouble(*what, of="troubled:")
    done = type_command(
        "parity", folder, *ONE, "--runtime", f"ort,{TROUBLED}", *options, *limit, "--json"
    )
    body = json.loads(done.out)["body"]
    assert done.code == 4
    (failure,) = body["failures"]
    assert (failure["name"], failure["runtime"]) == ("fp32", TROUBLED)
    assert says in failure["problem"]
    assert says in " ".join(done.err.split())
    assert "here it comes" in failure["printed"] or "more and more" in failure["printed"]
    assert {row["runtime"] for row in body["comparisons"]} == {"ort"}
    assert all(row["verdict"]["outcome"] == "pass" for row in body["comparisons"])
    assert body["verdict"]["outcome"] == "inconclusive"


def test_parity_shows_the_row_and_what_was_printed(
    make_bundle: MakeBundle, type_command: TypeCommand
) -> None:
    folder = make_bundle(variants=("fp32",)).folder
    options = trouble("what=abort", of="troubled:")
    done = type_command("--debug", "parity", folder, "--runtime", f"ort,{TROUBLED}", *options)
    rows = [line.split() for line in done.out.splitlines() if line.startswith(" fp32")]
    assert [row[-1] for row in rows[:3]] == ["pass", "pass", "failed"]
    assert "Every comparison is within its tolerance" not in done.out
    assert "an engine that talks\nhere it comes" in done.err


def test_nothing_left_to_compare_is_the_crash_itself(
    make_bundle: MakeBundle, type_command: TypeCommand
) -> None:
    folder = make_bundle(variants=("fp32",)).folder
    done = type_command(
        "parity", folder, "--runtime", TROUBLED, *trouble("what=exit", "when=open"), "--json"
    )
    assert (done.code, done.out) == (4, "")
    assert "exit code 7" in done.err


def test_what_an_engine_prints_is_in_no_document(
    make_bundle: MakeBundle, type_command: TypeCommand
) -> None:
    folder, options = make_bundle().folder, trouble("what=chatter", of="troubled:")
    done = type_command("parity", folder, *ONE, "--runtime", f"ort,{TROUBLED}", *options, "--json")
    body = json.loads(done.out)["body"]
    assert {row["runtime"] for row in body["comparisons"]} == {"ort", "troubled"}
    assert body["failures"] == []
    assert "a line of" not in done.out + done.err


@pytest.mark.parametrize("when", ["open", "run"])
def test_eval_goes_on_with_the_other_variant(
    when: str, make_bundle: MakeBundle, type_command: TypeCommand
) -> None:
    bundle = make_bundle(changes={"int8": {"settings": {"what": "segfault", "when": when}}})
    asked = ("eval", bundle.folder, "--runtime", TROUBLED, "--threads", 1, *trouble())
    done = type_command(*asked, "--json")
    body = json.loads(done.out)["body"]
    assert done.code == 4
    assert [row["name"] for row in body["variants"]] == ["fp32"]
    assert [row["name"] for row in body["failures"]] == ["int8"]
    assert "SIGSEGV" in body["failures"][0]["problem"]
    if when == "run":
        done = type_command(*asked, "--fail-if", "accuracy < 0.0001")
        (row,) = [line for line in done.out.splitlines() if line.startswith(" int8")]
        assert (done.code, row.split()[-1]) == (4, "failed")
        assert "SIGSEGV" in done.err


def test_a_baseline_that_crashes_is_named_as_such(make_bundle: MakeBundle) -> None:
    changes = {"int8": {"settings": {"what": "exit"}}}
    found = edgecnn.evaluate(
        make_bundle("new"),
        baseline=make_bundle("old", changes=changes),
        runtime=TROUBLED,
        options={"classes": "4"},
        fail_if=("accuracy < -40pp",),
        threads=1,
    )
    assert [failure.name for failure in found.failures] == ["baseline int8"]
    assert found.baseline is not None
    assert [pair.second for pair in found.baseline.comparisons] == ["fp32"]
    assert {gate.outcome for gate in found.gates} == {"pass", "inconclusive"}


def test_predict_gives_what_it_has_and_ends_its_document(
    make_bundle: MakeBundle, tiny_net: TinyNet, type_command: TypeCommand, tmp_path: Path
) -> None:
    for number, image in enumerate(tiny_net.images[:5]):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    pictures = [tmp_path / f"{number}.png" for number in range(5)]
    options = trouble("what=abort", "after=1")
    asked = ("--bundle", make_bundle().folder, "--runtime", TROUBLED, *ONE, "--batch-size", 2)
    done = type_command("predict", *pictures, *asked, *options, "--json")
    images = json.loads(done.out)["body"]["images"]
    assert done.code == 4
    assert [bool(image["ranked"]) for image in images] == [True, True, False, False]
    assert all("SIGABRT" in image["error"] for image in images[2:])
    assert "SIGABRT" in done.err


@pytest.mark.parametrize(
    ("settings", "limit", "says"),
    [
        ({"what": "hang", "after": "4"}, ("--time-limit", "2s"), "hung: no answer within 2"),
        ({"what": "leak"}, ("--memory-limit", "200MB"), "The memory ran out"),
    ],
)
def test_bench_goes_on_with_the_other_variant(
    settings: dict[str, str],
    limit: tuple[str, ...],
    says: str,
    make_bundle: MakeBundle,
    type_command: TypeCommand,
) -> None:
    folder = make_bundle(changes={"int8": {"settings": settings}}).folder
    asked = ("bench", folder, "--runtime", TROUBLED, "--threads", 1, "--iterations", 5, *limit)
    done = type_command(*asked, "--warmup", 1, "--json")
    rows = {row["variant"]: row for row in json.loads(done.out)["body"]["variants"]}
    assert done.code == 4
    assert rows["fp32"]["median_seconds"] > 0
    assert says in rows["int8"]["failure"]


def test_engines_that_clash_in_one_process_never_meet(
    make_bundle: MakeBundle, tmp_path: Path, type_command: TypeCommand
) -> None:
    for name, other in (("one", "two"), ("two", "one")):
        folder = tmp_path / name
        folder.mkdir()
        text = (Path(TROUBLED) / "runtime.py").read_text()
        engine = f"""
import sys as _sys
NAME = "{name}"
def availability(provider):
    _sys.modules["engine_{name}"] = _sys
    if "engine_{other}" in _sys.modules:
        os.abort()
    return Availability(ok=True)
"""
        (folder / "runtime.py").write_text(text + engine)
    both, bundle = f"{tmp_path}/one,{tmp_path}/two", make_bundle(variants=("fp32",))
    done = type_command("parity", bundle.folder, "--runtime", both, *trouble(), "--json")
    body = json.loads(done.out)["body"]
    assert {row["runtime"] for row in body["comparisons"]} == {"one", "two"}
    with edgecnn.load(bundle, runtime=f"{tmp_path}/one", options={"classes": "4"}) as predictor:
        assert predictor.session.runtime == "one"
    assert not {"engine_one", "engine_two"} & set(sys.modules)


def test_a_hang_and_a_crash_reach_whoever_loads_a_model(
    make_bundle: MakeBundle, tiny_net: TinyNet
) -> None:
    bundle = make_bundle()
    with (
        edgecnn.load(bundle, runtime=TROUBLED, options={"what": "exit"}) as predictor,
        pytest.raises(RuntimeCrashed, match="exit code 7"),
    ):
        predictor.run(tiny_net.images[:2])
    with edgecnn.load(bundle, threads=1, time_limit=60, memory_limit=10**9) as predictor:
        apart = predictor.run(tiny_net.images[:2])
    with pytest.raises(EdgeCNNError):  # here there would be no such limit
        edgecnn.load(bundle, threads=1, memory_limit=1000)
    with edgecnn.load(bundle, threads=1) as predictor:
        assert (predictor.run(tiny_net.images[:2]) == apart).all()


def test_without_a_limit_a_worker_may_take_what_is_free() -> None:
    with Worker() as worker:
        asked: Any = partial(resource.getrlimit, resource.RLIMIT_DATA)
        soft, _ = worker.call(asked, 10.0, what="The limit")
        score = worker.call(partial(_read, "/proc/self/oom_score_adj"), 10.0, what="The score")
    assert 0 < soft < 1 << 46
    assert score.strip() == "1000"


def _read(path: str) -> str:
    return Path(path).read_text()


@pytest.mark.parametrize("command", ["bench", "parity", "eval", "predict"])
@pytest.mark.parametrize(
    ("limit", "says"),
    [
        (("--time-limit", "0s"), "is no time above zero"),
        (("--memory-limit", "2 apples"), "is no size"),
        (("--memory-limit", "0GB"), "is no size above zero"),
    ],
)
def test_limits_that_are_none_are_refused(
    command: str, limit: tuple[str, str], says: str, type_command: TypeCommand
) -> None:
    done = type_command(command, *(["a.png"] if command == "predict" else []), *limit)
    assert done.code == 2
    assert says in " ".join(done.err.split())


def test_onnx_runtime_without_memory_is_no_damaged_file(
    make_bundle: MakeBundle, type_command: TypeCommand
) -> None:
    """The engine has no class for it: threads, arena and C++ library each say it otherwise."""
    threads = ("--variant", "fp32", "--threads", 2)
    done = type_command("parity", make_bundle().folder, *threads, "--memory-limit", "1MB")
    assert done.code == 4
    assert "The memory ran out for the runtime 'ort' with 'fp32'" in done.err
