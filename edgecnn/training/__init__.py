"""Training: a recipe and data become a bundle."""

import os

from edgecnn import extras

# OpenMP reads this when torch is imported. Its threads wait by spinning otherwise, and on a machine
# that has something else to do each then waits for one that is not running: resnet8 on 2 threads
# learned 200 to 280 images a second beside one busy process, and 540 to 790 with this.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Here, because the modules below cannot even be imported without them.
extras.require("`edgecnn train`", "torch", "safetensors")

from edgecnn.training.models import rebuild  # noqa: E402
from edgecnn.training.report import TrainReport  # noqa: E402
from edgecnn.training.run import train  # noqa: E402

__all__ = ["TrainReport", "rebuild", "train"]
