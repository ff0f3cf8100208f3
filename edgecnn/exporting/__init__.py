"""Export: a trained net becomes an ONNX file that is proved against torch before it is named."""

from edgecnn.exporting.report import ExportReport, Proof
from edgecnn.exporting.run import export

__all__ = ["ExportReport", "Proof", "export"]
