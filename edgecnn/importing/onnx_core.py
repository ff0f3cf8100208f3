"""The float core of a foreign ONNX file: edgecnn's form, the batch as the file has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edgecnn.graph import foreign
from edgecnn.graph.folding import fold_batch_norms, fold_constants
from edgecnn.graph.qoperator import has_integer_operators, spell_out
from edgecnn.importing.onnx_facts import ImageInput, as_rows
from edgecnn.predictor import scores_output
from edgecnn.spec import InputContract

if TYPE_CHECKING:
    import onnx_ir as ir
    from onnx import ModelProto

    from edgecnn.importing.proof import Outputs

# They quantize what flows through the net; DequantizeLinear alone may only unpack weights.
_QUANTIZING = {"QuantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"}


@dataclass(frozen=True)
class Core:
    """A net without preprocessing.

    Attributes:
        model: One input, float32 in the contract's size and layout, the batch fixed.
        precision: `int8` where it is quantized already.
        notes: What was changed, for people.
    """

    model: ir.Model
    precision: Literal["fp32", "int8"]
    notes: tuple[str, ...]


def make_core(
    model: ModelProto,
    contract: InputContract,
    image: ImageInput,
    answers: Outputs,
    *,
    opset: int,
) -> Core:
    """Bring a model into edgecnn's form; what it computes stays.

    Args:
        model: A model that has passed the gate, its weights in it; it is left as it is.
        contract: Size and layout of its input, and which output holds scores.
        image: Its input.
        answers: What it answers to some images, [N, ...] by name.
        opset: What to convert it to, or its own.

    Raises:
        ModelError: It cannot be converted, or has an integer operator that is not known.
    """
    from onnx import ModelProto

    changed = ModelProto()
    changed.CopyFrom(model)
    notes = [*_take_weights_out_of_inputs(changed)]
    own = foreign.opset_of(changed)
    if opset != own:
        notes.append(f"Opset {own} is converted to {opset}.")
        changed = foreign.convert(changed, opset)
    if has_integer_operators(changed):
        notes.append("Its integer operators are written as QuantizeLinear and DequantizeLinear.")
        changed = spell_out(changed)
    quantized = is_quantized(changed)
    folded = fold_constants(changed)
    core = foreign.to_ir(changed)
    norms = fold_batch_norms(core)
    foreign.name_nodes(core)
    flattened = _flatten_scores(core, contract, answers)
    batch = image.batch or 1
    shapes = {name: [batch, *value.shape[1:]] for name, value in answers.items()}
    if flattened:
        shapes[flattened] = shapes[flattened][:2]
        notes.append(f"The output '{flattened}' becomes a row for each image, [N, classes].")
    foreign.declare(core, (batch, *contract.float_shape), shapes)
    notes += _folded(folded, norms)
    return Core(core, "int8" if quantized else "fp32", tuple(notes))


def is_quantized(model: ModelProto) -> bool:
    """Say whether what flows through a net is quantized; weights alone may be packed."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return any(
        node.op_type in _QUANTIZING and node.input[0] not in weights for node in model.graph.node
    )


def _take_weights_out_of_inputs(model: ModelProto) -> list[str]:
    count = foreign.drop_declared_weights(model)
    return [f"{count} weights that were listed as inputs are weights now."] if count else []


def _flatten_scores(core: ir.Model, contract: InputContract, answers: Outputs) -> str:
    """Flatten scores of [N, classes, 1, 1]; give the output's name, empty if there is none."""
    name = scores_output(contract, list(answers))
    if contract.output_kind == "other" or answers[name].ndim == 2 or as_rows(answers[name]) is None:
        return ""
    foreign.flatten_output(core, name)
    return name


def _folded(constants: int, norms: int) -> list[str]:
    parts = [
        f"{constants} nodes that compute constants" if constants else "",
        f"{norms} batch normalisations" if norms else "",
    ]
    found = " and ".join(filter(None, parts))
    return [f"Folded into the weights: {found}."] if found else []
