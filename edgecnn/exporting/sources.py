"""Where an exported file comes from: the bundle's PyTorch net, or the ONNX file it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgecnn.bundle import WEIGHTS, Bundle
from edgecnn.data import Dataset
from edgecnn.errors import InputError, ModelError
from edgecnn.exporting.form import OPSET, Form
from edgecnn.golden import Golden, golden
from edgecnn.graph.clean import from_bytes, opset, to_bytes
from edgecnn.graph.lowering import lower_opset
from edgecnn.graph.prefix import float_core, put_preprocessing_in_front
from edgecnn.spec import Variant

if TYPE_CHECKING:
    import onnx_ir as ir
    from torch import nn

FP32 = "fp32"
IMPORTED = "the imported file"


@dataclass(frozen=True)
class Draft:
    """A file that is not proved yet.

    Attributes:
        model: What is in it.
        content: Its bytes.
        variant: How the manifest will describe it.
        vectors: What it is held against.
        allowed: Largest absolute error allowed of each output, by its name.
        original: What computed the golden outputs, for people.
        kept: It is in the bundle already, and stays as it is.
    """

    model: ir.Model
    content: bytes
    variant: Variant
    vectors: Golden
    allowed: Mapping[str, float]
    original: str
    kept: bool = False


def finite_net(bundle: Bundle) -> nn.Module:
    """Make a bundle's net again, and refuse weights that are no numbers.

    Raises:
        ModelError: A weight is NaN or infinite, or the net cannot be made.
    """
    import torch

    from edgecnn.nets import rebuild

    net = rebuild(bundle)
    for name, tensor in net.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise ModelError(
                f"'{name}' of {bundle.folder} holds NaN or infinity.",
                "Train it again with `edgecnn train`, or import other weights.",
            )
    return net


def draft_from_torch(bundle: Bundle, net: nn.Module, form: Form, data: Dataset | None) -> Draft:
    """Export a net.

    Args:
        bundle: Where the net comes from.
        net: The net, in eval mode.
        form: What is asked for.
        data: Where golden images come from if there are none yet; None for stand-ins.

    Raises:
        ModelError: torch cannot export it.
    """
    import torch

    from edgecnn.exporting.core import export_core
    from edgecnn.exporting.exact import allowed_errors
    from edgecnn.exporting.vectors import golden_of

    contract, version = bundle.manifest.contract, form.opset or OPSET
    vectors = golden_of(bundle, net, data)
    model = export_core(net, contract, opset_version=version, batch_size=form.batch_size)
    if form.preprocessing:
        model = put_preprocessing_in_front(model, contract)
    variant = Variant(
        name=form.name,
        precision="fp32",
        format="onnx",
        files=(f"{form.name}.onnx",),
        preprocessing=form.preprocessing,
        batch=form.batch_size or "dynamic",
        parent=bundle.parent(WEIGHTS),
        made_by=form.command,
        golden=f"{form.name}.golden.npz",
        settings={"opset": str(version), "torch": str(torch.__version__)} | _min_ort(form),
    )
    allowed = allowed_errors(net, contract, vectors.images, vectors.outputs)
    return Draft(model, to_bytes(model), variant, vectors, allowed, "torch")


def draft_from_onnx(bundle: Bundle, form: Form) -> Draft:
    """Turn the fp32 that came from an ONNX file into another form; asked for itself, it is itself.

    Raises:
        InputError: Another opset or another fixed batch is asked for, or there is no fp32.
    """
    source = _imported(bundle, form)
    contract, vectors = bundle.manifest.contract, golden(bundle)
    content = source.path.read_bytes()
    model = from_bytes(content, where=str(source.path))
    allowed = {name: float(each.atol or 0.0) for name, each in source.tolerances.items()}
    most = form.most_opset
    if most is not None and opset(model) > most:
        form = replace(form, lowered=True)
        model = lower_opset(model, most, where=str(source.path))
    elif form.preprocessing and form.batch_size in (None, source.batch):
        kept = bundle.variant(FP32)
        return Draft(model, content, kept, vectors, allowed, IMPORTED, kept=True)
    model = float_core(model)
    if form.batch_size is not None:
        _fix_batch(model, form.batch_size)
    if form.preprocessing:
        model = put_preprocessing_in_front(model, contract)
    variant = replace(
        source,
        name=form.name,
        files=(f"{form.name}.onnx",),
        preprocessing=form.preprocessing,
        batch=form.batch_size or source.batch,
        parent=bundle.parent(bundle.variant(FP32).files[0]),
        made_by=form.command,
        golden=f"{form.name}.golden.npz",
        settings=source.settings | {"opset": str(opset(model))} | _min_ort(form),
        tolerances={},
        verdict=None,
    )
    return Draft(model, to_bytes(model), variant, vectors, allowed, IMPORTED)


def _min_ort(form: Form) -> dict[str, str]:
    return {"min_ort": form.min_ort} if form.min_ort else {}


def _imported(bundle: Bundle, form: Form) -> Variant:
    if form.opset is not None:
        raise InputError(
            f"{bundle.folder} was made from an ONNX file, which keeps its opset.",
            "Leave --opset out.",
        )
    if FP32 not in [variant.name for variant in bundle.manifest.variants]:
        raise InputError(
            f"{bundle.folder} was made from a quantized ONNX file, and no fp32 can be made of it.",
            "Import the fp32 file that it was quantized from, with `edgecnn import`.",
        )
    source = bundle.locate(FP32)
    if form.batch_size not in (None, source.batch) and source.batch != "dynamic":
        raise InputError(
            f"The file that {bundle.folder} was made from takes batches of {source.batch} alone, "
            f"not {form.batch_size}.",
            "Leave --batch-size out.",
        )
    return source


def _fix_batch(model: ir.Model, size: int) -> None:
    for value in (*model.graph.inputs, *model.graph.outputs):
        if value.shape is not None and not isinstance(value.shape[0], int):
            value.shape[0] = size
