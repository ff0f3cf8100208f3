"""What a model says of pictures: found, read, answered and given away one by one."""

from __future__ import annotations

from edgecnn.prediction.records import PictureRecord, PredictReport, to_plain, without_pictures
from edgecnn.prediction.sources import Stdin, display, find_pictures
from edgecnn.prediction.stream import Found, Predictions, predict

__all__ = [
    "Found",
    "PictureRecord",
    "PredictReport",
    "Predictions",
    "Stdin",
    "display",
    "find_pictures",
    "predict",
    "to_plain",
    "without_pictures",
]
