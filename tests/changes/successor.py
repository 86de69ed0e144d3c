"""A process with (other) code on a shop's files: ``successor.py PROGRAM``. Works until its standard input ends."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.changes.shop import deploy


def main() -> None:
    with deploy(Path(sys.argv[1]).read_text()).troth:
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
