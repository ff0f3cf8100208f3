"""Export: a trained net becomes an ONNX file that is proved against torch before it is named."""

from edgecnn.exporting.run import ExportReport, export

__all__ = ["ExportReport", "export"]
