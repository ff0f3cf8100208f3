"""Where a model's time goes: operator by operator, against what this machine can do.

`run` measures; `peaks` the machine's roofs, with `bandwidth`, `caches` and `models`; `mapping`
finds the model's layers among the runtime's operators, `work` counts what each has to do,
`roofline` says what bounds it, `findings` and `advice` what stands out and what would help.
"""

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
from edgecnn.profiling.run import profile

__all__ = [
    "Inserted",
    "OperatorProfile",
    "Peak",
    "Peaks",
    "ProfileReport",
    "ProfileSetup",
    "Unfused",
    "VariantProfile",
    "profile",
]
