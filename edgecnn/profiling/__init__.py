"""Where a model's time goes: operator by operator, against what this machine can do."""

from edgecnn.profiling.report import (
    Inserted,
    OperatorProfile,
    Peak,
    Peaks,
    ProfileReport,
    ProfileSetup,
    Unfused,
    VariantProfile,
)

__all__ = [
    "Inserted",
    "OperatorProfile",
    "Peak",
    "Peaks",
    "ProfileReport",
    "ProfileSetup",
    "Unfused",
    "VariantProfile",
]
