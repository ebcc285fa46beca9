"""``python -m runtime.inspection.index LOGS``: brings an index up to date, and gives way to others."""

import os
import sys
from pathlib import Path

from runtime.errors import PeerwattError
from runtime.inspection.index.store import open_index


def main() -> int:
    """Bring the index of a folder of logs up to date; exit code 1 where that is not possible."""
    os.nice(10)
    try:
        open_index(Path(sys.argv[1]), lambda *_: None).close()
    except PeerwattError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
