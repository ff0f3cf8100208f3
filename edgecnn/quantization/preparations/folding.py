"""What stands behind a convolution and is one with it: normalisations, factors and terms.

Left alone, each would be rounded to 8 bits between the convolution and itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir


def fold_into_convolutions(model: ir.Model) -> ir.Model:
    """Fold normalisations and constant factors and terms into the convolutions before them.

    Args:
        model: A float core; it is left as it is.

    Returns:
        A model that computes the same but for float32's rounding.
    """
    from edgecnn.graph.clean import clean
    from edgecnn.graph.folding import fold_arithmetic, fold_batch_norms

    found = model.clone()
    # One may stand behind the other.
    while fold_batch_norms(found) + fold_arithmetic(found):
        pass
    return clean(found)
