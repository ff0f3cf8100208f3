"""`make schemas`: write the schemas that are not published yet; refuse to change one that is."""

from __future__ import annotations

import sys

from edgecnn.schemas.making import write_schemas


def _main() -> int:
    changed = write_schemas()
    for name in changed:
        sys.stderr.write(
            f"{name} is published and would change. Give its dataclass a new VERSION; or, if no "
            f"release has it yet, rm edgecnn/schemas/{name}.json and make schemas.\n"
        )
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(_main())
