"""`edgecnn export`, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class _Form:
    opset: int
    preprocessing: bool
    batch_size: int | None

    @property
    def name(self) -> str:
        layout = "" if self.preprocessing else "-nchw"
        return f"fp32{layout}{f'-b{self.batch_size}' if self.batch_size else ''}"

    @property
    def command(self) -> str:
        flags = [
            f"--opset {self.opset}" if self.opset != OPSET else "",
            "" if self.preprocessing else "--no-preprocessing",
            f"--batch-size {self.batch_size}" if self.batch_size else "",
        ]
        return " ".join(filter(None, ["edgecnn export", *flags]))


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
    duration: float | None = None,
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
        duration: Seconds of measuring the latency of int8.
        note: Called with sentences that people should read.
        progress: Called with what is done and the share (0 to 1) that is behind.

    Raises:
        InputError: The opset or batch size cannot be.
        ModelError: The net cannot be exported, or the file does not compute what torch does.
        BundleError: The bundle is damaged or written by another process.
        UnavailableError: A package is missing.
    """
    form = _Form(opset, preprocessing, batch_size)
    _check(form, quantize=quantize, only_int8=(calibration_samples, max_drop, duration))
    extras.require("`edgecnn export`", "torch", "onnxscript", "safetensors", "onnx", "onnx_ir")
    check_available("ort", "cpu")
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    tell = _part(progress or _ignore, 0.0, 0.4 if quantize else 1.0)
    net = _finite_net(opened)
    tell("Loading data", 0.0)
    data = _needed_data(opened, data, data_dir, quantize=quantize, note=note)
    tell("Computing golden outputs in float64", 0.1)
    vectors = _golden(opened, net, data)
    tell("Exporting", 0.2)
    model = _model(net, opened.manifest.contract, form)
    tell("Checking the file against torch", 0.8)
    report, opened = _prove_and_write(opened, net, vectors, model, _variant(opened, form))
    if not quantize:
        return report
    int8 = quantization.quantize(
        opened,
        variant=report.variant,
        calibration_samples=calibration_samples,
        max_drop=max_drop,
        data=data,
        threads=threads,
        duration=duration,
        note=note,
        progress=_part(progress or _ignore, 0.4, 1.0),
    )
    return replace(report, stale=_stale(open_bundle(opened.folder)), int8=int8)


def _check(form: _Form, *, quantize: bool, only_int8: tuple[object, ...]) -> None:
    if not 17 <= form.opset <= 23:
        raise InputError(f"Opset {form.opset} cannot be written.", "Use --opset 17 to 23.")
    if form.batch_size is not None and form.batch_size < 1:
        raise InputError(
            f"A batch of {form.batch_size} holds no image.", "Use --batch-size 1 or more."
        )
    if any(value is not None for value in only_int8) and not quantize:
        raise InputError(
            "--calibration-samples, --max-drop and --duration are about int8.",
            "Add --quantize to make it.",
        )


def _finite_net(bundle: Bundle) -> nn.Module:
    import torch

    from edgecnn.nets import rebuild

    net = rebuild(bundle)
    for name, tensor in net.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise ModelError(
                f"'{name}' of {bundle.folder} holds NaN or infinity.",
                "Train it again with `edgecnn train`.",
            )
    return net


def _needed_data(
    bundle: Bundle,
    data: Dataset | str | Path | None,
    data_dir: Path | None,
    *,
    quantize: bool,
    note: Callable[[str], None] | None,
) -> Dataset | None:
    if quantize or GOLDEN not in bundle.files:
        return data if isinstance(data, Dataset) else bundle_data(bundle, data, data_dir=data_dir)
    if data is not None and note:
        note(f"{bundle.folder} has its golden vectors already, so the data is not read.")
    return None


def _golden(bundle: Bundle, net: nn.Module, data: Dataset | None) -> Golden:
    import numpy as np

    from edgecnn.exporting.core import output_name
    from edgecnn.exporting.proof import allowed_error, exact_outputs

    contract = bundle.manifest.contract
    if GOLDEN not in bundle.files:
        assert data is not None, "loaded where golden vectors are missing"
        test = data.test
        if not len(test):
            raise DataError(
                f"The test split of {data.source} is empty, so there are no golden images.",
                "Name other data with --data.",
            )
        chosen = test.take(balanced(test, GOLDEN_IMAGES))
        exact = exact_outputs(net, contract, chosen.images)
        return Golden(chosen.images, chosen.labels, {output_name(contract): exact})
    kept = golden(bundle)
    exact = exact_outputs(net, contract, kept.images)
    allowed = allowed_error(net, contract, kept.images, exact)
    before = kept.outputs[output_name(contract)]
    if exact.shape != before.shape or not np.abs(exact - before).max() <= allowed:
        raise ModelError(
            f"The net no longer gives the golden outputs of {bundle.folder}.",
            "Something it imports has changed; make a new bundle with `edgecnn train --output`.",
        )
    return kept


def _model(net: nn.Module, contract: InputContract, form: _Form) -> ir.Model:
    from edgecnn.exporting.core import export_core

    core = export_core(net, contract, opset_version=form.opset, batch_size=form.batch_size)
    return put_preprocessing_in_front(core, contract) if form.preprocessing else core


def _variant(bundle: Bundle, form: _Form) -> Variant:
    import torch

    return Variant(
        name=form.name,
        precision="fp32",
        format="onnx",
        files=(f"{form.name}.onnx",),
        preprocessing=form.preprocessing,
        batch=form.batch_size or "dynamic",
        parent=bundle.parent(WEIGHTS),
        made_by=form.command,
        golden=f"{form.name}.golden.npz",
        settings={"opset": str(form.opset), "torch": str(torch.__version__)},
    )


def _prove_and_write(
    bundle: Bundle, net: nn.Module, vectors: Golden, model: ir.Model, variant: Variant
) -> tuple[ExportReport, Bundle]:
    from edgecnn.exporting.core import output_name
    from edgecnn.exporting.proof import allowed_error, prove

    contract = bundle.manifest.contract
    output = output_name(contract)
    exact = vectors.outputs[output]
    content = to_bytes(model)
    with temporary_file(variant.files[0], content) as path:
        located = replace(variant, files=(str(path),))
        allowed = allowed_error(net, contract, vectors.images, exact)
        proof, outputs = prove(located, contract, vectors.images, exact, allowed)
    variant = replace(variant, tolerances={output: Tolerance(atol=proof.atol)})
    files = {
        variant.files[0]: content,
        str(variant.golden): make_expected({output: outputs}, runtime="ort", provider="cpu"),
    }
    first = GOLDEN not in bundle.files
    if first:
        files[GOLDEN] = make_golden(vectors.images, vectors.labels, vectors.outputs)
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
