"""Which runtime reads what: left out with a sentence, or refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.benchmark.engine import Place
from edgecnn.benchmark.jobs import bundle_job
from edgecnn.benchmark.plan import make_plan
from edgecnn.bundle import Bundle, extend, open_bundle
from edgecnn.errors import InputError, ModelError
from edgecnn.evaluation import evaluate
from edgecnn.formats import (
    cannot_read,
    formats_of,
    readable,
    readers,
    refuse_unreadable,
    unread,
    usual_reader,
)
from edgecnn.inspection import inspect, python_code
from edgecnn.spec import Variant
from tests.conftest import MakeBundle, TypeCommand

PAPYRUS = str(Path(__file__).parent / "converting" / "papyrus")
ONNX = Variant("fp32", "fp32", "onnx", ("fp32.onnx",))
NCNN = Variant("ncnn-fp32", "fp32", "ncnn", ("ncnn-fp32.param",), batch=1)
CLAY = Variant("tablet", "fp32", "clay", ("tablet.clay",))


@pytest.fixture
def bundle(make_bundle: MakeBundle) -> Bundle:
    """A bundle with a variant that ONNX Runtime does not read; nobody opens it here."""
    made = make_bundle(variants=("fp32",))
    return extend(made, {"tablet.clay": b"signs"}, CLAY)


def test_who_reads_what() -> None:
    assert formats_of(PAPYRUS) == {"papyrus"}
    assert "ncnn" in readers("ncnn")
    assert {"ort", "reference"} <= {*readers("onnx")}
    assert (usual_reader("onnx"), usual_reader("ncnn"), usual_reader("clay")) == (
        "ort",
        "ncnn",
        None,
    )
    assert readable([ONNX, NCNN, CLAY], "ort", "ncnn") == (ONNX, NCNN)
    assert readable([], "ort") == ()
    assert unread([ONNX, NCNN, CLAY], "ort") == (
        "Left out, as ort does not read the format ncnn: ncnn-fp32; --runtime ncnn does.",
        "Left out, as ort does not read the format clay: tablet.",
    )
    assert unread([CLAY], "ort", "ncnn") == (
        "Left out, as ort and ncnn do not read the format clay: tablet.",
    )


def test_what_is_not_read_is_refused_with_what_reads_it() -> None:
    refuse_unreadable([ONNX, NCNN], "ort", "ncnn")
    for refuse in (refuse_unreadable, readable):
        with pytest.raises(InputError, match="'ort' does not read 'ncnn-fp32'") as refusal:
            refuse([NCNN], "ort")
        assert refusal.value.remedy == "Use `--runtime ncnn`."
    error = cannot_read(CLAY, "ort", "ncnn")
    assert error.problem.startswith("The runtimes 'ort' and 'ncnn' do not read 'tablet'")
    assert error.remedy == "No runtime here does; `edgecnn doctor` lists them."


def test_bench_measures_what_the_runtime_reads(bundle: Bundle) -> None:
    plan = make_plan(1.0)
    job = bundle_job(bundle, (), 1, Place("ort", "cpu", 1), plan)
    assert [subject.name for subject in job.subjects] == ["fp32"]
    with pytest.raises(InputError, match="'ort' does not read 'tablet'"):
        bundle_job(bundle, ("fp32", "tablet"), 1, Place("ort", "cpu", 1), plan)
    with pytest.raises(InputError, match="does not read 'fp32'"):
        bundle_job(bundle, (), 1, Place(PAPYRUS, "cpu", 1), plan)


def test_accuracy_is_measured_of_what_the_runtime_reads(
    bundle: Bundle, type_command: TypeCommand
) -> None:
    with pytest.raises(InputError, match="'ort' does not read 'tablet'"):
        evaluate(bundle, ["tablet"], threads=1)
    done = type_command("eval", bundle.folder, "--threads", 1)
    assert done.code == 0
    assert "tablet" not in done.out
    assert "Left out, as ort does not read the format clay: tablet." in " ".join(done.err.split())


def test_inspect_describes_what_holds_no_onnx_graph(bundle: Bundle) -> None:
    (found,) = inspect(open_bundle(bundle.folder), ["tablet"]).variants
    assert (found.state, found.graph, found.bytes) == ("ok", None, 5)
    assert found.unseen == "The format 'clay' holds no ONNX graph."
    with pytest.raises(ModelError, match="'tablet' is of the format 'clay'"):
        python_code(bundle, "tablet")
