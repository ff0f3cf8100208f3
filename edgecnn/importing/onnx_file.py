"""`edgecnn import FILE.onnx`: a foreign ONNX file becomes a bundle, proved against itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgecnn import bundle as bundles
from edgecnn import extras
from edgecnn.bundle import GOLDEN
from edgecnn.data import balanced, stand_in_images
from edgecnn.errors import DataError, ModelError
from edgecnn.golden import UNLABELLED, make_expected, make_golden
from edgecnn.graph import foreign
from edgecnn.graph.clean import opset
from edgecnn.importing.batch import Settled, make_draft, settle_batch
from edgecnn.importing.contract import Choice
from edgecnn.importing.labelled import DataSource
from edgecnn.importing.onnx_contract import ForeignFile, Known, read_foreign, settle
from edgecnn.importing.onnx_core import Core, make_core
from edgecnn.importing.proof import (
    Draft,
    Outputs,
    Truth,
    as_shaped,
    find_truth,
    golden_count,
    hold,
    run_original,
)
from edgecnn.importing.report import ImportReport, OnnxProof
from edgecnn.machine import this_machine
from edgecnn.progress import Progress
from edgecnn.runtime import check_available
from edgecnn.spec import Tolerance, Variant

if TYPE_CHECKING:
    from edgecnn.graph.summary import GraphSummary


# A few steps of 1/255 in an output that uses its range.
_ELSEWHERE_DB = 30.0


@dataclass(frozen=True, eq=False)
class _Images:
    """The golden images.

    Attributes:
        pixels: uint8 [N, height, width, channels].
        labels: int64 [N]; -1 where unknown.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Proved:
    """The file in edgecnn's form, its batch as it was, proved to compute what the file does."""

    core: Core
    small: Draft
    truth: Truth
    images: _Images
    answers: Outputs
    notes: tuple[str, ...]


def import_onnx(
    path: Path,
    choice: Choice,
    folder: Path,
    *,
    source: DataSource | None = None,
    force: bool = False,
    progress: Progress,
) -> ImportReport:
    """Make a bundle of an ONNX file that takes float pictures.

    The preprocessing is put in front, weights beside the file are taken in, operators older than
    opset 13 are converted, and the batch is opened where that is proved. What becomes of the file
    must answer as the file does, to the same pixels. A quantized file becomes the variant `int8`.

    Args:
        path: The file.
        choice: Fields of the input contract that are given.
        folder: Where the bundle goes.
        source: Labelled images that the bundle is judged on; without them golden images are drawn.
        force: Replace the bundle that is there.
        progress: Called with what is done and the share (0 to 1) that is behind.

    Raises:
        ModelError: The file cannot be used, or the proof fails.
        InputError: The contract cannot be settled.
        DataError: The data cannot be used, or is of other classes than the net.
        BundleError: The folder exists and `force` was not given.
        UnavailableError: A package is missing.
    """
    extras.require("`edgecnn import` of an ONNX file", "onnx", "onnx_ir")
    check_available("ort", "cpu")
    progress("Letting the file in", 0.0)
    file = read_foreign(path, choice)
    progress("Settling the input contract", 0.1)
    known = settle(file, choice, source, lambda what, share: progress(what, 0.1 + 0.2 * share))
    progress("Computing golden outputs in float64", 0.3)
    proved = _prove_core(file, known)
    progress("Proving it at several batch sizes", 0.7)
    settled = settle_batch(proved.core.model, file.image.batch, proved.small, proved.truth)
    progress("Writing the bundle", 0.95)
    return _write(file, known, proved, settled, folder, force=force)


def _prove_core(file: ForeignFile, known: Known) -> _Proved:
    own = foreign.opset_of(file.model)
    suitable = foreign.suitable_opset(own)
    if suitable == own:
        return _prove_form(file, known, own)
    try:
        return _prove_form(file, known, suitable)
    except ModelError as error:
        proved = _prove_form(file, known, own)
        return replace(proved, notes=(*proved.notes, _kept_opset(own, error)))


def _prove_form(file: ForeignFile, known: Known, opset: int) -> _Proved:
    """Bring the file into edgecnn's form, and hold the file's own answers against it."""
    contract = known.contract
    core = make_core(file.model, contract, file.image, known.glance, opset=opset)
    small = make_draft(core.model, contract, file.batch, core.precision)
    macs = _summary(small).macs
    images = _golden_images(known, golden_count(None if macs is None else macs // file.batch))
    answers = run_original(file.path, contract, images.pixels, file.batch, file.memory)
    truth = find_truth(small, contract, images.pixels)
    hold(truth, answers, "as it stands")
    return _Proved(core, small, truth, images, answers, core.notes)


def _kept_opset(own: int, error: ModelError) -> str:
    kept = f"Opset {own} stays: {error.problem}"
    if own < foreign.PER_CHANNEL_OPSET:
        kept += f" int8 with a scale for each channel needs opset {foreign.PER_CHANNEL_OPSET}."
    return kept


def _golden_images(known: Known, count: int) -> _Images:
    if known.dataset is None:
        pixels = stand_in_images(known.contract, count)
        return _Images(pixels, np.full(count, UNLABELLED, np.int64))
    test = known.dataset.test
    if not len(test):
        raise DataError(
            f"The test split of {known.dataset.source} is empty, so there are no golden images.",
            "Name other data with --data.",
        )
    chosen = test.take(balanced(test, count))
    return _Images(chosen.images, chosen.labels)


def _summary(draft: Draft) -> GraphSummary:
    from edgecnn.graph.summary import summarise

    return summarise(draft.content, where="What was made of the file")


def _write(
    file: ForeignFile,
    known: Known,
    proved: _Proved,
    settled: Settled,
    folder: Path,
    *,
    force: bool,
) -> ImportReport:
    variant, images, stand_in = (
        _variant(file, proved, settled),
        proved.images,
        known.dataset is None,
    )
    vectors = make_golden(images.pixels, images.labels, proved.truth.exact, stand_in=stand_in)
    files = {
        variant.files[0]: settled.draft.content,
        str(variant.golden): make_expected(settled.outputs, runtime="ort", provider="cpu"),
        GOLDEN: vectors,
    }
    data = None if known.dataset is None else known.dataset.reference()
    manifest = bundles.new_manifest(
        folder.resolve().name, known.contract, model=None, data=data, environment=_environment(file)
    )
    bundles.create(folder, replace(manifest, variants=(variant,)), files, force=force)
    return ImportReport(
        bundle=str(folder),
        source=str(file.path),
        weights="",
        sha256=file.sha256,
        model=None,
        parameters=_summary(settled.draft).parameters,
        outputs={name: value.shape[1:] for name, value in settled.outputs.items()},
        contract=known.contract,
        sources=known.decision.sources,
        contract_lines=known.decision.lines,
        notes=(*proved.notes, *settled.notes, *(known.dataset.notes if known.dataset else ())),
        data=data,
        variants=(variant.name,),
        proof=_proof(proved, settled, stand_in=stand_in),
    )


def _proof(proved: _Proved, settled: Settled, *, stand_in: bool) -> OnnxProof:
    return OnnxProof(
        images=len(proved.images.pixels),
        stand_in=stand_in,
        batches=settled.batches,
        largest_difference=_differences(settled.outputs, proved.answers),
    )


def _differences(outputs: Outputs, original: Outputs) -> dict[str, float]:
    return {
        name: float(np.abs(found.astype(float) - as_shaped(original[name], found)).max())
        for name, found in outputs.items()
    }


def _variant(file: ForeignFile, proved: _Proved, settled: Settled) -> Variant:
    precision = settled.draft.precision
    return Variant(
        name=precision,
        precision=precision,
        format="onnx",
        files=(f"{precision}.onnx",),
        batch=settled.draft.batch,
        golden=f"{precision}.golden.npz",
        tolerances=_tolerances(proved, settled),
        settings={"opset": str(opset(proved.core.model)), "imported": file.path.name},
    )


def _tolerances(proved: _Proved, settled: Settled) -> dict[str, Tolerance]:
    if settled.draft.precision == "fp32":
        return {name: Tolerance(atol=atol) for name, atol in settled.allowed.items()}
    safe, found = _same_everywhere(proved.core, settled.draft), proved.truth.tolerances
    if safe:
        return {name: replace(each, bit_exact=True) for name, each in found.items()}
    return {name: _elsewhere(each) for name, each in found.items()}


def _elsewhere(tolerance: Tolerance) -> Tolerance:
    """Allow what other CPUs may round otherwise, where the bits are not promised.

    The float net is not here to say what quantizing cost.
    """
    ratio = _ELSEWHERE_DB if tolerance.sqnr_db is None else min(_ELSEWHERE_DB, tolerance.sqnr_db)
    return replace(tolerance, atol=None, sqnr_db=ratio)


def _same_everywhere(core: Core, draft: Draft) -> bool:
    from edgecnn.quantization.safety import LARGEST_INT16, as_it_runs, largest_pair_sums

    largest = max(largest_pair_sums(core.model).values(), default=0)
    return largest <= LARGEST_INT16 and as_it_runs(draft.content).same_everywhere


def _environment(file: ForeignFile) -> dict[str, str]:
    import onnx
    import onnxruntime

    machine = this_machine()
    return {
        "python": machine.python,
        "onnx": str(onnx.__version__),
        "onnxruntime": str(onnxruntime.__version__),
        "system": machine.system,
        "cpu": machine.cpu,
        "imported": file.path.name,
        "imported_sha256": file.sha256,
    }
