"""Converting: a variant in the format of another engine, made by that engine's own runtime.

A converter may crash, hang, print, or end well with a file that cannot be used. So it works in a
process of its own, and what it made is opened on its runtime and held to the golden vectors before
it gets a name in the bundle.
"""

from edgecnn.converting.report import ConvertedOutput, ConvertReport
from edgecnn.converting.run import convert

__all__ = ["ConvertReport", "ConvertedOutput", "convert"]
