"""`edgecnn export`, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn import extras, quantization
from edgecnn.bundle import GOLDEN, WEIGHTS, Bundle, extend, open_bundle
from edgecnn.data import Dataset, balanced
from edgecnn.disk import temporary_file
from edgecnn.errors import BundleError, DataError, InputError, ModelError
from edgecnn.evaluation import bundle_data
from edgecnn.exporting.report import ExportReport
from edgecnn.golden import Golden, golden, make_expected, make_golden
from edgecnn.graph.clean import to_bytes
from edgecnn.graph.prefix import put_preprocessing_in_front
from edgecnn.records import sha256
from edgecnn.runtime import check_available
from edgecnn.spec import InputContract, Tolerance, Variant

if TYPE_CHECKING:
    import onnx_ir as ir
    from torch import nn


Progress = Callable[[str, float], None]

GOLDEN_IMAGES = 32
OPSET = 18


def export(
    bundle: Bundle | Path | str,
    *,
    opset: int = OPSET,
    preprocessing: bool = True,
    batch_size: int | None = None,
    quantize: bool = False,
    calibration_samples: int | None = None,
    max_drop: float | None = None,
    data: Dataset | str | Path | None = None,
    data_dir: Path | None = None,
    threads: int | None = None,
    note: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> ExportReport:
    """Export a bundle's net to ONNX as a variant of the bundle, proved before it is named.

    The variant is called `fp32`; other forms stand beside it: `fp32-nchw` without preprocessing,
    `fp32-b1` with a fixed batch of 1.

    Args:
        bundle: A bundle or its folder.
        opset: Version of ONNX's operators, 17 to 23.
        preprocessing: Take uint8 pixels [N, H, W, C]; otherwise float32 [N, C, H, W].
        batch_size: A fixed batch; by default it is open.
        quantize: Make an int8 variant of it, too; the other arguments are those of
            `edgecnn.quantize`.
        calibration_samples: Images that set the ranges of int8.
        max_drop: Largest loss of accuracy allowed to int8.
        data: Other data than the bundle's own, or its source: for the golden images, if the
            bundle has none yet, and to quantize.
        data_dir: Folder for downloaded data.
        threads: Threads of the sessions in which int8 is measured.
        note: Called with sentences that people should read.
        progress: Called with what is done and the share (0 to 1) that is behind.

    Raises:
        InputError: The opset or batch size cannot be.
        ModelError: The net cannot be exported, or the file does not compute what torch does.
        BundleError: The bundle is damaged or written by another process.
        UnavailableError: A package is missing.
    """
    _check(opset, batch_size, quantize=quantize, only_int8=(calibration_samples, max_drop))
    extras.require("`edgecnn export`", "torch", "onnxscript", "safetensors", "onnx", "onnx_ir")
    check_available("ort", "cpu")
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    tell = _part(progress or _ignore, 0.0, 0.4 if quantize else 1.0)
    net = _finite_net(opened)
    needed = quantize or GOLDEN not in opened.files
    if needed and not isinstance(data, Dataset):
        tell("Loading data", 0.0)
        data = bundle_data(opened, data, data_dir=data_dir)
    if data is not None and not needed and note:
        note(f"{opened.folder} has its golden vectors already, so the data is not read.")
    tell("Computing golden outputs in float64", 0.1)
    vectors = _golden(opened, net, data)
    tell("Exporting", 0.2)
    contract = opened.manifest.contract
    model = _model(net, contract, opset, preprocessing=preprocessing, batch_size=batch_size)
    variant = _variant(opened, opset, preprocessing=preprocessing, batch_size=batch_size)
    tell("Checking the file against torch", 0.8)
    report, opened = _prove_and_write(opened, net, vectors, model, variant)
    if not quantize:
        return report
    int8 = quantization.quantize(
        opened,
        variant=variant.name,
        calibration_samples=calibration_samples,
        max_drop=max_drop,
        data=data,
        threads=threads,
        note=note,
        progress=_part(progress or _ignore, 0.4, 1.0),
    )
    return replace(report, stale=_stale(open_bundle(opened.folder)), int8=int8)


def variant_name(*, preprocessing: bool = True, batch_size: int | None = None) -> str:
    """Give the name of the fp32 variant in one of its forms."""
    layout = "" if preprocessing else "-nchw"
    return f"fp32{layout}{f'-b{batch_size}' if batch_size else ''}"


def _check(
    opset: int, batch_size: int | None, *, quantize: bool, only_int8: tuple[object, ...]
) -> None:
    if not 17 <= opset <= 23:
        raise InputError(f"Opset {opset} cannot be written.", "Use --opset 17 to 23.")
    if batch_size is not None and batch_size < 1:
        raise InputError(f"A batch of {batch_size} holds no image.", "Use --batch-size 1 or more.")
    if any(value is not None for value in only_int8) and not quantize:
        raise InputError(
            "--calibration-samples and --max-drop are about int8.", "Add --quantize to make it."
        )


def _finite_net(bundle: Bundle) -> nn.Module:
    import torch

    from edgecnn.training.models import rebuild

    net = rebuild(bundle)
    for name, tensor in net.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise ModelError(
                f"'{name}' of {bundle.folder} holds NaN or infinity.",
                "Train it again with `edgecnn train`.",
            )
    return net


def _golden(bundle: Bundle, net: nn.Module, data: object) -> Golden:
    import numpy as np

    from edgecnn.exporting.proof import allowed_error, exact_outputs

    contract = bundle.manifest.contract
    if GOLDEN not in bundle.files:
        assert isinstance(data, Dataset), "loaded where golden vectors are missing"
        test = data.test
        if not len(test):
            raise DataError(
                f"The test split of {data.source} is empty, so there are no golden images.",
                "Name other data with --data.",
            )
        chosen = test.take(balanced(test, GOLDEN_IMAGES))
        return Golden(chosen.images, chosen.labels, exact_outputs(net, contract, chosen.images))
    kept = golden(bundle)
    exact = exact_outputs(net, contract, kept.images)
    allowed = allowed_error(net, contract, kept.images, exact)
    if exact.shape != kept.outputs.shape or not np.abs(exact - kept.outputs).max() <= allowed:
        raise ModelError(
            f"The net no longer gives the golden outputs of {bundle.folder}.",
            "Something it imports has changed; make a new bundle with `edgecnn train --output`.",
        )
    return kept


def _model(
    net: nn.Module,
    contract: InputContract,
    opset: int,
    *,
    preprocessing: bool,
    batch_size: int | None,
) -> ir.Model:
    from edgecnn.exporting.core import export_core

    core = export_core(net, contract, opset_version=opset, batch_size=batch_size)
    return put_preprocessing_in_front(core, contract) if preprocessing else core


def _variant(bundle: Bundle, opset: int, *, preprocessing: bool, batch_size: int | None) -> Variant:
    import torch

    name = variant_name(preprocessing=preprocessing, batch_size=batch_size)
    flags = [
        f"--opset {opset}" if opset != OPSET else "",
        "" if preprocessing else "--no-preprocessing",
        f"--batch-size {batch_size}" if batch_size else "",
    ]
    return Variant(
        name=name,
        precision="fp32",
        format="onnx",
        files=(f"{name}.onnx",),
        preprocessing=preprocessing,
        batch=batch_size or "dynamic",
        parent=bundle.parent(WEIGHTS),
        made_by=" ".join(filter(None, ["edgecnn export", *flags])),
        golden=f"{name}.golden.npz",
        settings={"opset": str(opset), "torch": str(torch.__version__)},
    )


def _prove_and_write(
    bundle: Bundle, net: nn.Module, vectors: Golden, model: ir.Model, variant: Variant
) -> tuple[ExportReport, Bundle]:
    from edgecnn.exporting.proof import allowed_error, prove

    contract, exact = bundle.manifest.contract, vectors.outputs
    content = to_bytes(model)
    with temporary_file(variant.files[0], content) as path:
        located = replace(variant, files=(str(path),))
        allowed = allowed_error(net, contract, vectors.images, exact)
        proof, outputs = prove(located, contract, vectors.images, exact, allowed)
    variant = replace(variant, tolerance=Tolerance(atol=proof.atol))
    files = {
        variant.files[0]: content,
        str(variant.golden): make_expected(outputs, runtime="ort", provider="cpu"),
    }
    first = GOLDEN not in bundle.files
    if first:
        files[GOLDEN] = make_golden(vectors.images, vectors.labels, exact)
    after = extend(bundle, files, variant)
    report = ExportReport(
        bundle=str(bundle.folder),
        variant=variant.name,
        file=variant.files[0],
        sha256=sha256(content),
        size=len(content),
        opset=int(variant.settings["opset"]),
        ir_version=model.ir_version,
        preprocessing=variant.preprocessing,
        batch=variant.batch,
        operators=len(model.graph),
        proof=proof,
        golden_written=first,
        stale=_stale(after),
    )
    return report, after


def _stale(bundle: Bundle) -> tuple[str, ...]:
    stale = []
    for variant in bundle.manifest.variants:
        try:
            bundle.refuse_stale(variant)
        except BundleError:
            stale.append(variant.name)
    return tuple(stale)


def _part(tell: Progress, start: float, end: float) -> Progress:
    return lambda what, share: tell(what, start + (end - start) * share)


def _ignore(what: str, share: float) -> None:
    pass
