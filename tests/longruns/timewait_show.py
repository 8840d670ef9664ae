#!/usr/bin/python3
"""4 min: finwait-lab timewait, with the kernel's own pile-up, plateau and drain against forecast."""
import subprocess
import sys

from longrun import BIN


def main():
    return subprocess.run([BIN / "finwait-lab", "timewait"], stdin=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
