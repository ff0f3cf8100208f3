"""Training: a recipe and data become a bundle."""

from edgecnn import extras

# Here, because the modules below cannot even be imported without them.
extras.require("`edgecnn train`", "torch", "safetensors")

from edgecnn.nets import rebuild  # noqa: E402
from edgecnn.training.report import TrainReport  # noqa: E402
from edgecnn.training.run import train  # noqa: E402

__all__ = ["TrainReport", "rebuild", "train"]
