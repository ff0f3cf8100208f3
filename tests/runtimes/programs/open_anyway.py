"""Open a file as if its provider were to be had: FILE PROVIDER on|off (fallback)."""

from __future__ import annotations

import sys

from edgecnn.errors import EdgeCNNError
from edgecnn.runtime import Target, load_runtime, open_on, plain_file


def main(path: str, provider: str, fallback: str) -> None:
    target = Target(load_runtime("ort"), provider, {})
    try:
        open_on(target, plain_file(path), threads=1, options={"fallback": fallback})
    except EdgeCNNError as error:
        print(error)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])
