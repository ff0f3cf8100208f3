"""Where they part: the first tensor at which two models, or two runtimes, differ.

`tensors` says which tensors can be seen and what they are called, `tapping` makes the copies that
show them, `sources` gives graphs and inputs, `sessions` runs them, `comparing` holds two sides
against one another, `rules` says what is more than rounding.
"""

from edgecnn.agreement.layers.report import LayerComparison, LayerDifference, LayersReport, Rule
from edgecnn.agreement.layers.run import parity_layers
from edgecnn.agreement.layers.wording import farthest

__all__ = [
    "LayerComparison",
    "LayerDifference",
    "LayersReport",
    "Rule",
    "farthest",
    "parity_layers",
]
