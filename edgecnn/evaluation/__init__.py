"""Accuracy on labelled images, with its interval, and variants compared on the same images."""

from edgecnn.bundle_data import bundle_data
from edgecnn.evaluation.measuring import compare_answers
from edgecnn.evaluation.report import (
    Baseline,
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
from edgecnn.evaluation.run import evaluate

__all__ = [
    "Baseline",
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
