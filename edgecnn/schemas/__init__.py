"""The JSON Schemas of every document that edgecnn writes or prints, as files in this folder.

`KIND-VERSION.json` describes a whole document, such as a report of `edgecnn bench` in version 2 of
its body. They are made from the dataclasses by `make schemas`; one that is published never changes.
"""

from edgecnn.schemas.published import published, read_schema

__all__ = ["published", "read_schema"]
