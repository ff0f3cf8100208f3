"""Export: a net becomes an ONNX file that is proved before it is named."""

from edgecnn.exporting.report import ExportReport, OutputProof, Proof
from edgecnn.exporting.run import export

__all__ = ["ExportReport", "OutputProof", "Proof", "export"]
