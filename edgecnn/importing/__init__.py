"""Import: what a user has becomes a bundle, and what was assumed is said."""

from edgecnn.importing.contract import Choice
from edgecnn.importing.report import ImportReport
from edgecnn.importing.run import import_model

__all__ = ["Choice", "ImportReport", "import_model"]
