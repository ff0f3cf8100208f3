"""Quantization: fp32 becomes int8, measured against it before it says success."""

from edgecnn.quantization.report import QuantizeReport, Side
from edgecnn.quantization.run import quantize

__all__ = ["QuantizeReport", "Side", "quantize"]
