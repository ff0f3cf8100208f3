"""The report: what is known of a bundle, as one page that needs nothing else."""

from edgecnn.reporting.contract import Figure, Finding, Section, Table
from edgecnn.reporting.material import Broken, Kept, Material
from edgecnn.reporting.run import Page, report

__all__ = [
    "Broken",
    "Figure",
    "Finding",
    "Kept",
    "Material",
    "Page",
    "Section",
    "Table",
    "report",
]
