"""Calibration: what activations are on real images, and the ranges that are taken from it."""

from edgecnn.quantization.calibration.histogram import Histogram
from edgecnn.quantization.calibration.methods import METHODS, Range, take_ranges
from edgecnn.quantization.calibration.observing import observe

__all__ = ["METHODS", "Histogram", "Range", "observe", "take_ranges"]
