"""Tuning: which variant, on which runtime, with which threads and options, is the fastest here."""

from edgecnn.tuning.report import AnswerCheck, Candidate, Final, LeftOut, Row, TuneReport
from edgecnn.tuning.run import Interrupted, tune, without_deployment

__all__ = [
    "AnswerCheck",
    "Candidate",
    "Final",
    "Interrupted",
    "LeftOut",
    "Row",
    "TuneReport",
    "tune",
    "without_deployment",
]
