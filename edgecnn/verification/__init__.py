"""Verification: is a bundle what was written, and does this machine answer as it should?

It needs neither torch nor onnx: it is what a device runs on a bundle that was copied to it. Digests
find damage, accidents and mix-ups; they are no signature, for whoever rewrites a manifest can seal
it anew.
"""

from edgecnn.verification.report import FileCheck, VariantCheck, VerifyReport, raise_unless_sound
from edgecnn.verification.run import verify

__all__ = ["FileCheck", "VariantCheck", "VerifyReport", "raise_unless_sound", "verify"]
