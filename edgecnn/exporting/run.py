"""`edgecnn export`, step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn import extras, quantization
from edgecnn.bundle import GOLDEN, Bundle, extend, open_bundle
from edgecnn.bundle_data import bundle_data
from edgecnn.data import Dataset
from edgecnn.disk import temporary_file
from edgecnn.errors import BundleError, InputError
from edgecnn.exporting.form import Form
from edgecnn.exporting.half import check_precision, halve
from edgecnn.exporting.report import ExportReport, Proof
from edgecnn.exporting.sources import Draft, draft_from_onnx, draft_from_torch, finite_net
from edgecnn.golden import make_expected, make_golden
from edgecnn.graph.clean import opset as opset_of
from edgecnn.progress import Progress, part_of, tell_nobody
from edgecnn.records import sha256
from edgecnn.runtime import check_available
from edgecnn.spec import Precision, Tolerance

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from edgecnn.quantization.options import Int8Options

Note = Callable[[str], None]


def export(
    bundle: Bundle | Path | str,
    *,
    opset: int | None = None,
    preprocessing: bool = True,
    batch_size: int | None = None,
    min_ort: str | None = None,
    quantize: bool = False,
    precision: Precision = "fp32",
    data: Dataset | str | Path | None = None,
    data_dir: Path | None = None,
    threads: int | None = None,
    note: Callable[[str], None] | None = None,
    progress: Progress | None = None,
    **int8: Unpack[Int8Options],
) -> ExportReport:
    """Export a bundle's net to ONNX as a variant of the bundle, proved before it is named.

    The variant is called `fp32`; other forms stand beside it: `fp32-nchw` without preprocessing,
    `fp32-b1` with a fixed batch of 1. A bundle that was made from an ONNX file has its fp32
    already; other forms are made of that. Where a bundle has no data, drawn images stand in for
    golden ones, and everything says so.

    Args:
        bundle: A bundle or its folder.
        opset: Version of ONNX's operators, 17 to 23; 18 by default.
        preprocessing: Take uint8 pixels [N, H, W, C]; otherwise float32 in the net's own layout.
        batch_size: A fixed batch; by default it is open.
        min_ort: The oldest ONNX Runtime that is to read it, such as `1.16`. An imported file of a
            newer opset gets a second form, `fp32-ort1.16`.
        quantize: Make an int8 variant of it, too; the same as `precision="int8"`.
        precision: Make a variant of this precision of it, too: `int8` or `fp16`.
        data: Other data than the bundle's own, or its source: for the golden images, if the
            bundle has none yet, and to quantize.
        data_dir: Folder for downloaded data.
        threads: Threads of the sessions in which int8 is measured.
        note: Called with sentences that people should read.
        progress: Called with what is done and the share (0 to 1) that is behind.
        **int8: How int8 is made, as `edgecnn.quantize` takes it: `cpu`, `max_drop` and so on.

    Raises:
        InputError: The opset, batch size, precision or oldest ONNX Runtime cannot be.
        DataError: int8 is asked for and there is no data, or the data does not fit.
        ModelError: The net cannot be exported, or the file does not compute what it should.
        BundleError: The bundle is damaged or written by another process.
        UnavailableError: A package is missing.
    """
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    layout = opened.manifest.contract.layout
    form = Form(opset, preprocessing, batch_size, layout, min_ort or "")
    form.check()
    check_precision(precision)
    quantize = quantize or precision == "int8"
    if not quantize:
        _refuse_int8_options(int8, allowed=("duration",) if precision == "fp16" else ())
    _require(opened)
    more = quantize or precision == "fp16"
    tell = part_of(progress or tell_nobody, 0.0, 0.4 if more else 1.0)
    draft, data = _draft(opened, form, _Wanted(data, data_dir, more, note), tell)
    tell("Checking the file", 0.8)
    report, opened = _prove_and_write(opened, draft)
    if not more:
        return report
    rest = part_of(progress or tell_nobody, 0.4, 1.0)
    if precision == "fp16":
        half = halve(
            opened,
            report.variant,
            data=data,
            threads=threads,
            duration=int8.get("duration"),
            progress=rest,
        )
        return replace(report, stale=stale_variants(open_bundle(opened.folder)), fp16=half)
    made = quantization.quantize(
        opened,
        variant=report.variant,
        data=data,
        threads=threads,
        note=note,
        progress=rest,
        **int8,
    )
    return replace(report, stale=stale_variants(open_bundle(opened.folder)), int8=made)


@dataclass(frozen=True)
class _Wanted:
    data: Dataset | str | Path | None
    data_dir: Path | None
    needed: bool
    note: Note | None


def _refuse_int8_options(options: Mapping[str, object], allowed: Sequence[str]) -> None:
    given = [name for name, value in options.items() if value and name not in allowed]
    named = [f"--{name.replace('_', '-')}" for name in given]
    if named:
        verb = "is" if len(named) == 1 else "are"
        raise InputError(
            f"{', '.join(named)} {verb} about int8, which was not asked for.",
            "Leave it out, or make int8 with --quantize alone.",
        )


def _require(bundle: Bundle) -> None:
    packages = ["onnx", "onnx_ir"]
    if bundle.manifest.model is not None:
        packages = ["torch", "onnxscript", "safetensors", *packages]
    extras.require("`edgecnn export`", *packages)
    check_available("ort", "cpu")


def _draft(
    bundle: Bundle, form: Form, wanted: _Wanted, tell: Progress
) -> tuple[Draft, Dataset | None]:
    if bundle.manifest.model is None:
        draft = draft_from_onnx(bundle, form)
        tell("Loading data", 0.0)
        return draft, _needed_data(bundle, wanted, part_of(tell, 0.0, 0.2))
    net = finite_net(bundle)
    tell("Loading data", 0.0)
    data = _needed_data(bundle, wanted, part_of(tell, 0.0, 0.2))
    tell("Exporting", 0.2)
    return draft_from_torch(bundle, net, form, data), data


def _needed_data(bundle: Bundle, wanted: _Wanted, tell: Progress) -> Dataset | None:
    say, source = wanted.note or _silent, wanted.data
    first = GOLDEN not in bundle.files
    if wanted.needed or (first and (source is not None or bundle.manifest.data is not None)):
        if isinstance(source, Dataset):
            return source
        return bundle_data(bundle, source, data_dir=wanted.data_dir, progress=tell)
    if first:
        say(
            f"{bundle.folder} has no data of its own, so its golden vectors are drawn images that "
            "stand in for real ones. Give real ones with --data; int8 cannot do without."
        )
    elif source is not None:
        say(f"{bundle.folder} has its golden vectors already, so the data is not read.")
    return None


def _prove_and_write(bundle: Bundle, draft: Draft) -> tuple[ExportReport, Bundle]:
    from edgecnn.exporting.proof import prove

    contract, vectors, variant = bundle.manifest.contract, draft.vectors, draft.variant
    with temporary_file(variant.files[0], draft.content) as path:
        located = replace(variant, files=(str(path),))
        proof, outputs = prove(
            located,
            contract,
            vectors.images,
            vectors.outputs,
            draft.allowed,
            original=draft.original,
        )
    first = GOLDEN not in bundle.files
    after = bundle if draft.kept else _write(bundle, draft, proof, outputs)
    report = ExportReport(
        bundle=str(bundle.folder),
        variant=variant.name,
        file=variant.files[0],
        sha256=sha256(draft.content),
        size=len(draft.content),
        opset=opset_of(draft.model),
        ir_version=draft.model.ir_version,
        preprocessing=variant.preprocessing,
        layout=contract.layout,
        batch=variant.batch,
        operators=len(draft.model.graph),
        original=draft.original,
        proof=proof,
        stand_in=vectors.stand_in,
        golden_written=first,
        stale=stale_variants(after),
    )
    return report, after


def _write(bundle: Bundle, draft: Draft, proof: Proof, outputs: dict[str, NDArray[Any]]) -> Bundle:
    vectors, variant = draft.vectors, draft.variant
    tolerances = {name: Tolerance(atol=found.atol) for name, found in proof.outputs.items()}
    files = {
        variant.files[0]: draft.content,
        str(variant.golden): make_expected(outputs, runtime="ort", provider="cpu"),
    }
    if GOLDEN not in bundle.files:
        files[GOLDEN] = make_golden(
            vectors.images, vectors.labels, vectors.outputs, stand_in=vectors.stand_in
        )
    settings = variant.settings | ({"golden": "stand-in images"} if vectors.stand_in else {})
    return extend(bundle, files, replace(variant, tolerances=tolerances, settings=settings))


def stale_variants(bundle: Bundle) -> tuple[str, ...]:
    """Name the variants of a bundle that must be made anew."""
    stale = []
    for variant in bundle.manifest.variants:
        try:
            bundle.refuse_stale(variant)
        except BundleError:
            stale.append(variant.name)
    return tuple(stale)


def _silent(text: str) -> None:
    pass
