"""ONNX files that belong to no bundle: letting them in, and what goes into them.

What knows a bundle gets its inputs from the input contract; here there is none. `files` lets a
foreign file in and names it, `inputs` makes or reads what it is run on, `feeding` hands that to it.
"""

from edgecnn.plain.feeding import batch_of, batches, feeds, gather, matching
from edgecnn.plain.files import (
    UP_TO_ONE,
    PlainFile,
    existing_file,
    is_file_name,
    open_files,
    plain_variant,
)
from edgecnn.plain.inputs import (
    NO_INPUTS,
    RANDOM,
    Inputs,
    Request,
    fixed,
    make_inputs,
    parse_shapes,
)

__all__ = [
    "NO_INPUTS",
    "RANDOM",
    "UP_TO_ONE",
    "Inputs",
    "PlainFile",
    "Request",
    "batch_of",
    "batches",
    "existing_file",
    "feeds",
    "fixed",
    "gather",
    "is_file_name",
    "make_inputs",
    "matching",
    "open_files",
    "parse_shapes",
    "plain_variant",
]
