"""Training: a recipe and data become a bundle."""

from edgecnn.training.models import rebuild
from edgecnn.training.report import TrainReport
from edgecnn.training.run import train

__all__ = ["TrainReport", "rebuild", "train"]
