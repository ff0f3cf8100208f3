"""Parity: do two models, or a model and its golden vectors, answer the same?"""

from edgecnn.agreement.gates import quantized_tolerance
from edgecnn.agreement.judgement import Comparison, ParityReport, WorstImage, parity
from edgecnn.agreement.metrics import (
    Agreement,
    compare,
    derived_atol,
    excess,
    image_errors,
    sqnr_db,
)
from edgecnn.golden import Expected, Golden, expected, golden, make_expected, make_golden

__all__ = [
    "Agreement",
    "Comparison",
    "Expected",
    "Golden",
    "ParityReport",
    "WorstImage",
    "compare",
    "derived_atol",
    "excess",
    "expected",
    "golden",
    "image_errors",
    "make_expected",
    "make_golden",
    "parity",
    "quantized_tolerance",
    "sqnr_db",
]
