"""Accuracy on labelled images, with its interval, and variants compared on the same images."""

from edgecnn.bundle_data import bundle_data
from edgecnn.evaluation.report import (
    ClassAccuracy,
    ConfidenceBin,
    Disagreement,
    Disagreements,
    EvalReport,
    Mistake,
    Mistakes,
    PairedAccuracy,
    Picture,
    VariantAccuracy,
)
from edgecnn.evaluation.run import compare_answers, evaluate

__all__ = [
    "ClassAccuracy",
    "ConfidenceBin",
    "Disagreement",
    "Disagreements",
    "EvalReport",
    "Mistake",
    "Mistakes",
    "PairedAccuracy",
    "Picture",
    "VariantAccuracy",
    "bundle_data",
    "compare_answers",
    "evaluate",
]
