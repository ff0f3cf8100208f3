"""Conversions: what is written, what it must prove, and that a refused one leaves nothing."""

from __future__ import annotations

import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from edgecnn import convert
from edgecnn.agreement import parity
from edgecnn.bundle import Bundle, change_variant, extend, open_bundle
from edgecnn.errors import (
    BundleError,
    EdgeCNNError,
    InputError,
    ModelError,
    RuntimeCrashed,
    UnavailableError,
)
from edgecnn.golden import expected
from edgecnn.graph.clean import from_bytes, to_bytes
from edgecnn.graph.prefix import put_preprocessing_in_front
from edgecnn.records import sha256
from edgecnn.spec import Tolerance
from edgecnn.verification import verify
from tests.conftest import CONTRACT, MakeBundle, TinyNet, TypeCommand

PAPYRUS = str(Path(__file__).parent / "papyrus")


@pytest.fixture
def bundle(make_bundle: MakeBundle) -> Bundle:
    return make_bundle(variants=("fp32",))


def test_a_variant_of_another_format_is_written_with_its_lineage(bundle: Bundle) -> None:
    report = convert(bundle, "papyrus", runtime=PAPYRUS, threads=1)
    after = open_bundle(bundle.folder)
    made = after.variant("papyrus-fp32")
    assert (made.format, made.precision, made.batch) == ("papyrus", "fp32", "dynamic")
    assert made.files == ("papyrus-fp32.index", "papyrus-fp32.scroll")
    assert made.parent == after.parent("fp32.onnx")
    assert made.made_by == f"edgecnn export --format papyrus --runtime {PAPYRUS}"
    assert made.settings == {"reed": "fine"}
    assert expected(after, made).runtime == "papyrus"
    assert report.outputs["logits"].gates[0].passed
    assert 0 < (made.tolerances["logits"].atol or 0) < 1e-3
    assert not list(bundle.folder.glob("scraps*"))
    assert set(after.files) - set(bundle.files) == {*made.files, "papyrus-fp32.golden.npz"}


def test_it_is_checked_and_compared_on_its_own_runtime(bundle: Bundle) -> None:
    convert(bundle, "papyrus", runtime=PAPYRUS, threads=1)
    found = verify(bundle, runtime=("ort", PAPYRUS), threads=1)
    assert [(row.name, row.runtime, row.outcome) for row in found.variants] == [
        ("fp32", "ort", "pass"),
        ("papyrus-fp32", "papyrus", "pass"),
    ]
    assert verify(bundle, runtime="ort", threads=1).notes == (
        "Left out, as ort does not read the format papyrus: papyrus-fp32.",
    )
    opened = open_bundle(bundle.folder)
    alone = parity(opened, threads=1)
    assert {each.name for each in alone.comparisons} == {"fp32"}
    assert len(alone.notes) == 1
    each = parity(opened, runtime=("ort", PAPYRUS), threads=1)
    assert {(one.name, one.runtime) for one in each.comparisons} == {
        ("fp32", "ort"),
        ("papyrus-fp32", "papyrus"),
    }
    both = parity(opened, ["papyrus-fp32"], "fp32", runtime=(PAPYRUS, "ort"), threads=1)
    assert both.verdict.outcome == "pass"
    with pytest.raises(InputError, match="'ort' does not read 'papyrus-fp32'"):
        parity(opened, ["papyrus-fp32"])
    with pytest.raises(InputError, match="does not read 'fp32'") as refusal:
        parity(opened, ["papyrus-fp32"], "fp32", runtime=PAPYRUS)
    assert refusal.value.remedy == f"Name both engines: `--runtime {PAPYRUS},ort`."


@pytest.mark.skipif(
    find_spec("ncnn") is None or find_spec("pnnx") is None,
    reason="ncnn or pnnx is not installed: pip install 'edgecnn[pnnx]'",
)
def test_each_variant_is_checked_on_what_usually_reads_it(
    make_bundle: MakeBundle, tiny_net: TinyNet, type_command: TypeCommand
) -> None:
    files = {}
    for precision in ("fp32", "int8"):
        core = from_bytes(tiny_net.onnx(precision, preprocessing=False), where=precision)
        files[precision] = to_bytes(put_preprocessing_in_front(core, CONTRACT))
    bundle = make_bundle(files=files)
    before = _contents(bundle)
    refused = type_command("export", bundle.folder, "--format", "ncnn", "--from", "int8")
    assert (refused.code, refused.out) == (2, "")
    assert "'int8' is int8, and pnnx makes a working ncnn model of float32 alone" in refused.err
    assert _contents(bundle) == before
    words = ("export", bundle.folder, "--format", "ncnn", "--precision", "fp16")
    assert type_command(*words).code == 0
    assert type_command(*words[:-2]).code == 0
    after = open_bundle(bundle.folder)
    assert after.variant("ncnn-fp16").made_by == (
        "edgecnn export --format ncnn --option precision=fp16"
    )
    assert after.variant("ncnn-fp32").batch == 1
    found = verify(bundle, threads=1)
    assert found.verdict.outcome == "pass"
    assert [(row.name, row.runtime) for row in found.variants] == [
        ("fp32", "ort"),
        ("int8", "ort"),
        ("ncnn-fp16", "ncnn"),
        ("ncnn-fp32", "ncnn"),
    ]


def test_what_it_was_made_from_makes_it_stale(bundle: Bundle, tiny_net: TinyNet) -> None:
    convert(bundle, "papyrus", runtime=PAPYRUS, threads=1)
    now = open_bundle(bundle.folder)
    extend(now, {"fp32.onnx": tiny_net.onnx() + b""}, now.variant("fp32"))
    open_bundle(bundle.folder).locate("papyrus-fp32")  # the same bytes
    other = tiny_net.onnx(preprocessing=False)
    extend(now, {"fp32.onnx": other}, now.variant("fp32"))
    with pytest.raises(BundleError, match="stale") as refusal:
        open_bundle(bundle.folder).locate("papyrus-fp32")
    assert "edgecnn export --format papyrus" in refusal.value.remedy


def test_made_again_it_is_replaced(bundle: Bundle) -> None:
    convert(bundle, "papyrus", runtime=PAPYRUS, threads=1, name="scroll")
    first = open_bundle(bundle.folder)
    convert(first, "papyrus", runtime=PAPYRUS, threads=1, name="scroll")
    after = open_bundle(bundle.folder)
    assert [each.name for each in after.manifest.variants] == ["fp32", "scroll"]
    assert after.variant("scroll").made_by.endswith("--name scroll --runtime " + PAPYRUS)


@pytest.mark.parametrize(
    ("trouble", "kind", "problem"),
    [
        ("memory", RuntimeCrashed, "memory"),
        ("error", RuntimeCrashed, "ValueError: the reed broke"),
        ("missing", RuntimeCrashed, "named the file 'papyrus-fp32.scroll' and did not write it"),
        ("foreign", RuntimeCrashed, "'fp32.onnx', which does not begin with 'papyrus-fp32.'"),
        ("unreadable", ModelError, "was made, but cannot be used: papyrus cannot read"),
        ("wrong answers", ModelError, "the largest error is .*, and 0.0001 is allowed"),
    ],
)
def test_a_refused_conversion_leaves_the_bundle_as_it_was(
    bundle: Bundle, trouble: str, kind: type[EdgeCNNError], problem: str
) -> None:
    before = _contents(bundle)
    with pytest.raises(kind, match=problem) as refusal:
        convert(
            bundle,
            "papyrus",
            runtime=PAPYRUS,
            options={"trouble": trouble},
            threads=1,
            memory_limit=1 << 30,
        )
    assert refusal.value.remedy
    assert "\n" not in refusal.value.problem
    assert _contents(bundle) == before


@pytest.mark.parametrize(
    ("trouble", "ending"), [("hang", "hung: no answer"), ("segfault", "SIGSEGV.*talking")]
)
def test_a_converter_that_is_lost_ends_with_all_that_it_started(
    bundle: Bundle, tmp_path: Path, trouble: str, ending: str
) -> None:
    note, before = tmp_path / "child", _contents(bundle)
    options = {"trouble": trouble, "note": str(note)}
    with pytest.raises(RuntimeCrashed, match=rf"conversion of 'fp32' on .*{ending}"):
        convert(bundle, "papyrus", runtime=PAPYRUS, options=options, time_limit=5.0)
    assert _contents(bundle) == before
    child = int(note.read_text())
    deadline = time.monotonic() + 10
    while _alive(child):
        assert time.monotonic() < deadline, "the program that the converter started lives on"
        time.sleep(0.02)


def test_the_limit_is_that_of_the_variant_it_is_made_from(bundle: Bundle) -> None:
    strict = {"logits": Tolerance(atol=1e-12)}
    bundle = change_variant(bundle, "fp32", lambda variant: replace(variant, tolerances=strict))
    with pytest.raises(ModelError, match="1e-12 is allowed"):
        convert(bundle, "papyrus", runtime=PAPYRUS, threads=1)
    bundle = change_variant(bundle, "fp32", lambda variant: replace(variant, tolerances={}))
    with pytest.raises(ModelError, match="no tolerance says what is near enough"):
        convert(bundle, "papyrus", runtime=PAPYRUS, threads=1)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": "clay"}, "No runtime here writes the format 'clay'"),
        ({"runtime": "ort"}, "The runtime 'ort' writes no 'papyrus'"),
        ({"runtime": "abacus"}, "There is no runtime 'abacus'"),
        ({"source": "int8"}, "no variant 'int8'"),
        ({"name": "fp32"}, "has a variant 'fp32' already, of the format 'onnx'"),
        ({"name": "../fp32"}, "cannot be called '../fp32'"),
        ({"name": "-x"}, "cannot be called '-x'"),
    ],
)
def test_what_cannot_be_asked_for(bundle: Bundle, change: dict[str, Any], problem: str) -> None:
    runtime = {} if "format" in change else {"runtime": PAPYRUS}
    before = _contents(bundle)
    with pytest.raises(InputError, match=problem) as refusal:
        convert(bundle, **{"format": "papyrus", **runtime, **change})
    assert refusal.value.remedy
    assert _contents(bundle) == before


def test_an_engine_that_is_not_installed_is_named_with_its_remedy(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PAPYRUS", "1")
    with pytest.raises(UnavailableError, match="There is no papyrus") as refusal:
        convert(bundle, "papyrus", runtime=PAPYRUS)
    assert refusal.value.remedy == "Install it with `pip install papyrus`."


def test_conversions_begin_with_onnx(bundle: Bundle) -> None:
    convert(bundle, "papyrus", runtime=PAPYRUS, threads=1)
    with pytest.raises(ModelError, match="conversions begin with ONNX"):
        convert(bundle.folder, "papyrus", source="papyrus-fp32", runtime=PAPYRUS, name="copy")


def test_the_command_shows_and_keeps_it(bundle: Bundle, type_command: TypeCommand) -> None:
    words = ("export", bundle.folder, "--format", "papyrus", "--runtime", PAPYRUS, "--threads", "1")
    done = type_command(*words)
    assert done.code == 0, done.err
    assert "papyrus-fp32.index and 1 more" in done.out
    assert "On papyrus/cpu it agrees with float64 on 32 golden images" in done.out
    assert f"edgecnn bench --runtime {PAPYRUS} --variant papyrus-fp32" in done.out
    document = type_command(*words, "--json").out
    assert '"kind": "convert"' in document
    reports = list((bundle.folder / "reports").glob("*-convert-*.json"))
    assert len(reports) == 2
    made = open_bundle(bundle.folder)
    for file in ("papyrus-fp32.index", "papyrus-fp32.scroll"):
        assert sha256(made.read(file)) in reports[0].read_text()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--format", "papyrus", "--opset", "18"), "--opset is about ONNX files"),
        (("--format", "papyrus", "--quantize"), "--quantize is about ONNX files"),
        (("--format", "papyrus", "--no-preprocessing"), "--preprocessing is about ONNX files"),
        (("--format", "papyrus", "--max-drop", "1pp"), "--max-drop is about ONNX files"),
        (("--from", "int8"), "--from is about another --format than onnx"),
        (("--option", "a=b"), "--option is about another --format than onnx"),
        (("--format", "papyrus", "--option", "trouble"), "'trouble' is no NAME=VALUE"),
        (("--format", "clay"), "No runtime here writes the format 'clay'"),
    ],
)
def test_options_that_mean_nothing_are_refused_by_name(
    bundle: Bundle, type_command: TypeCommand, words: tuple[str, ...], problem: str
) -> None:
    done = type_command("export", bundle.folder, *words)
    assert done.code == 2
    assert problem in " ".join(done.err.split())


def _contents(bundle: Bundle) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in bundle.folder.iterdir() if path.is_file()}


def _alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
