#!/usr/bin/python3
"""7 min: finwait-lab timewait, with pile-up, plateau and drain of kernel and stack over a link.

In parts of 3 minutes at most: timewait_show=churn-kernel, timewait_show=churn-stack, and timewait_show= with
those that finwait-lab timewait --help lists beside them.
"""
import subprocess
import sys

from longrun import BIN


def main(names):
    """Each part checks what it shows; one that is not known ends it with what there is."""
    parts = ["--parts", ",".join(names)] if names else []
    return subprocess.run([BIN / "finwait-lab", "timewait", *parts], stdin=subprocess.DEVNULL,
                          check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
