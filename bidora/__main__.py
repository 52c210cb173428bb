"""`python -m bidora` and the installed command `bidora`."""

from __future__ import annotations

import sys

from bidora.cli import main

if __name__ == "__main__":
    sys.exit(main())
