"""`python -m driftline`: the `driftline` command, found through its entry point, as this package imports no other."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points


def main() -> int:
    """Run the command; its exit code."""
    for found in entry_points(group="console_scripts", name="driftline"):
        return int(found.load()() or 0)
    sys.stderr.write("the driftline command is not installed: pip install 'driftline[server]'\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
