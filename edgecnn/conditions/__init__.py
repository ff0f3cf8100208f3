"""What the machine was like while something was measured, and what makes that doubtful.

Each file reads one source; `watch` takes them together, `doubts` judges. On Linux the kernel says
all of it in /proc and /sys; elsewhere, and where a file is missing, a reading is None: not known.
"""

from edgecnn.conditions.cores import cpu_list, pick_cores
from edgecnn.conditions.doubts import Doubt, doubts
from edgecnn.conditions.files import HERE, Roots
from edgecnn.conditions.watch import Busy, Conditions, Course, Watch

__all__ = [
    "HERE",
    "Busy",
    "Conditions",
    "Course",
    "Doubt",
    "Roots",
    "Watch",
    "cpu_list",
    "doubts",
    "pick_cores",
]
