#!/usr/bin/python3
"""7 min: finwait-lab timewait, with pile-up, plateau and drain of kernel and stack over a link."""
import subprocess
import sys

from longrun import BIN


def main():
    return subprocess.run([BIN / "finwait-lab", "timewait"], stdin=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
