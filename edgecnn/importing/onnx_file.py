"""`edgecnn import FILE.onnx`: a foreign ONNX file becomes a bundle, proved against itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from edgecnn import bundle as bundles
from edgecnn import extras
from edgecnn.bundle import GOLDEN
from edgecnn.data import Dataset, balanced, stand_in_images
from edgecnn.errors import DataError, InputError, ModelError
from edgecnn.golden import UNLABELLED, make_expected, make_golden
from edgecnn.graph import foreign
from edgecnn.graph.clean import opset
from edgecnn.guard import let_in
from edgecnn.importing.batch import Settled, make_draft, settle_batch
from edgecnn.importing.contract import Choice, Decision, Facts, decide
from edgecnn.importing.labelled import DataSource, decide_with_data
from edgecnn.importing.onnx_core import Core, make_core
from edgecnn.importing.onnx_facts import (
    ImageInput,
    find_image,
    graph_facts,
    layout_guess,
    metadata_facts,
    output_facts,
)
from edgecnn.importing.proof import (
    Outputs,
    Truth,
    find_truth,
    golden_count,
    hold,
    run_original,
)
from edgecnn.importing.report import ImportReport
from edgecnn.machine import this_machine
from edgecnn.records import sha256
from edgecnn.runtime import check_available
from edgecnn.spec import InputContract, Tolerance, Variant

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgecnn.graph.summary import GraphSummary

Progress = Callable[[str, float], None]

# Enough to see whether outputs depend on the picture, and whether their rows sum to 1.
_LOOKED_AT = 4


@dataclass(frozen=True)
class _File:
    """The foreign file, as it is.

    Attributes:
        path: Where it lies.
        model: What is in it, its weights included.
        image: Its input.
        sha256: Its digest.
    """

    path: Path
    model: ModelProto
    image: ImageInput
    sha256: str

    @property
    def batch(self) -> int:
        """The batch that it is run with: its own, or 1 where that is open."""
        return self.image.batch or 1


@dataclass(frozen=True, eq=False)
class _Known:
    """What is settled before anything is made: the contract, the images, the file's own answers."""

    decision: Decision
    dataset: Dataset | None
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    answers: Outputs

    @property
    def contract(self) -> InputContract:
        return self.decision.contract


@dataclass(frozen=True, eq=False)
class _Made:
    """What became of the file, and the proof."""

    core: Core
    truth: Truth
    settled: Settled
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
    file = _read(path, choice)
    progress("Settling the input contract", 0.1)
    known = _settle(file, choice, source, progress)
    progress("Computing golden outputs in float64", 0.3)
    core, truth, notes = _true_core(file, known)
    progress("Proving it at several batch sizes", 0.7)
    small = make_draft(core.model, known.contract, file.batch, core.precision)
    settled = settle_batch(core.model, file.image.batch, small, truth)
    progress("Writing the bundle", 0.95)
    made = _Made(core, truth, settled, (*notes, *settled.notes))
    return _write(file, known, made, folder, force=force)


def _read(path: Path, choice: Choice) -> _File:
    model = let_in(path)
    image = find_image(model, where=str(path), layout=choice.layout)
    foreign.take_in_weights(model, path.parent)
    return _File(path, model, image, sha256(path.read_bytes()))


def _settle(file: _File, choice: Choice, source: DataSource | None, progress: Progress) -> _Known:
    facts = [graph_facts(file.image), *metadata_facts(file.model)]
    facts += [] if file.image.sure else [layout_guess(file.image)]
    draft = decide(choice, facts).contract
    _refuse_other_size(file, draft)
    looked = stand_in_images(draft, max(_LOOKED_AT, file.batch))
    outputs = run_original(file.path, draft, looked, file.batch)
    answered = _answered(file, choice, outputs)
    decision, dataset = decide_with_data(
        choice,
        [*facts, answered],
        source,
        classes=_classes(outputs, answered, choice),
        progress=lambda what, share: progress(what, 0.1 + 0.2 * share),
    )
    images, labels = _golden_images(decision.contract, dataset, golden_count(_macs(file, draft)))
    answers = run_original(file.path, decision.contract, images, file.batch)
    return _Known(decision, dataset, images, labels, answers)


def _refuse_other_size(file: _File, contract: InputContract) -> None:
    image = file.image
    size, own = (contract.height, contract.width), (image.height, image.width)
    if any(b not in (None, a) for a, b in zip(size, own, strict=True)):
        raise InputError(
            f"{file.path} takes pictures of {own[0] or 'any'}x{own[1] or 'any'} pixels, not "
            f"{size[0]}x{size[1]}.",
            f"Use --input-size {own[0] or size[0]}x{own[1] or size[1]}.",
        )
    if contract.channels != image.channels:
        raise InputError(
            f"{file.path} takes {image.channels} channels, and {contract.color} has "
            f"{contract.channels}.",
            "Use --color gray." if image.channels == 1 else "Use --color rgb or --color bgr.",
        )


def _answered(file: _File, choice: Choice, outputs: Outputs) -> Facts:
    if choice.output is not None and choice.output not in outputs:
        raise InputError(
            f"{file.path} has no output '{choice.output}'.", f"It has {', '.join(outputs)}."
        )
    facts = output_facts(file.model, outputs, choice.output)
    if facts.choice.output_kind == "other" and choice.output_kind not in (None, "other"):
        shapes = ", ".join(f"{name} {list(value.shape)}" for name, value in outputs.items())
        raise InputError(
            f"No output of {file.path} is a row of scores for each image ({shapes}), so it cannot "
            f"be {choice.output_kind}.",
            "Leave --output-kind out.",
        )
    return facts


def _classes(outputs: Outputs, answered: Facts, choice: Choice) -> int | None:
    if "other" in (answered.choice.output_kind, choice.output_kind):
        return None
    name = choice.output or answered.choice.output or next(iter(outputs))
    return int(outputs[name].shape[1])


def _golden_images(
    contract: InputContract, dataset: Dataset | None, count: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    if dataset is None:
        return stand_in_images(contract, count), np.full(count, UNLABELLED, np.int64)
    if not len(dataset.test):
        raise DataError(
            f"The test split of {dataset.source} is empty, so there are no golden images.",
            "Name other data with --data.",
        )
    chosen = dataset.test.take(balanced(dataset.test, count))
    return chosen.images, chosen.labels


def _macs(file: _File, contract: InputContract) -> int | None:
    shape = (file.batch, *contract.float_shape)
    content = foreign.with_input(file.model, file.image.name, shape).SerializeToString()
    found = _summary(content, file.path).macs
    return None if found is None else found // file.batch


def _summary(content: bytes, path: Path) -> GraphSummary:
    from edgecnn.graph.summary import summarise

    return summarise(content, where=str(path))


def _true_core(file: _File, known: _Known) -> tuple[Core, Truth, tuple[str, ...]]:
    """Bring the file into edgecnn's form, and prove that it still computes the same."""
    old = foreign.opset_of(file.model) < foreign.PER_CHANNEL_OPSET
    reason = ""
    for upgrade in [True, False] if old else [False]:
        try:
            core = make_core(file.model, known.contract, file.image, known.answers, upgrade=upgrade)
            draft = make_draft(core.model, known.contract, file.batch, core.precision)
            truth = find_truth(draft, known.contract, known.images)
            hold(truth, known.answers, "as it is itself")
        except ModelError as error:
            if not upgrade:
                raise
            reason = error.problem.rstrip(".")
        else:
            return core, truth, (*core.notes, *(_kept_opset(file, reason) if reason else ()))
    raise AssertionError("the last attempt returns or raises")


def _kept_opset(file: _File, reason: str) -> tuple[str, ...]:
    opset = foreign.opset_of(file.model)
    return (
        f"Opset {opset} stays, for it cannot be converted: {reason}. It cannot be quantized: int8 "
        f"with a scale for each channel needs opset {foreign.PER_CHANNEL_OPSET}.",
    )


def _write(file: _File, known: _Known, made: _Made, folder: Path, *, force: bool) -> ImportReport:
    variant, content, exact = _variant(file, made), made.settled.draft.content, made.truth.exact
    stand_in = known.dataset is None
    files = {
        variant.files[0]: content,
        str(variant.golden): make_expected(made.settled.outputs, runtime="ort", provider="cpu"),
        GOLDEN: make_golden(known.images, known.labels, exact, stand_in=stand_in),
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
        parameters=_summary(content, file.path).parameters,
        outputs={name: value.shape[1:] for name, value in exact.items()},
        contract=known.contract,
        sources=known.decision.sources,
        contract_lines=known.decision.lines,
        notes=made.notes,
        data=data,
        variants=(variant.name,),
    )


def _variant(file: _File, made: _Made) -> Variant:
    draft = made.settled.draft
    name: Literal["fp32", "int8"] = draft.precision
    return Variant(
        name=name,
        precision=draft.precision,
        format="onnx",
        files=(f"{name}.onnx",),
        batch=draft.batch,
        golden=f"{name}.golden.npz",
        tolerances=_tolerances(made),
        settings={"opset": str(opset(made.core.model)), "imported": file.path.name},
    )


def _tolerances(made: _Made) -> dict[str, Tolerance]:
    if made.settled.draft.precision == "fp32":
        return {name: Tolerance(atol=atol) for name, atol in made.settled.allowed.items()}
    safe = _same_everywhere(made)
    return {name: replace(each, bit_exact=safe) for name, each in made.truth.tolerances.items()}


def _same_everywhere(made: _Made) -> bool:
    from edgecnn.quantization.safety import LARGEST_INT16, as_it_runs, largest_pair_sums

    largest = max(largest_pair_sums(made.core.model).values(), default=0)
    return largest <= LARGEST_INT16 and as_it_runs(made.settled.draft.content).same_everywhere


def _environment(file: _File) -> dict[str, str]:
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
