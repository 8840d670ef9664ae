"""What the end-to-end tests share: where the programs are. They run in a network namespace."""
import os
import signal
from pathlib import Path

import pytest

# A session in the background of a shell ignores SIGINT, and so would all that the tests start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[2]


def program(name, variable="FINWAIT_BIN_DIR", default="build-asan/bin"):
    """Path of one of our programs; the sanitized build unless told otherwise."""
    path = Path(os.environ.get(variable, ROOT / default)) / name
    if not path.exists():
        pytest.fail(f"{path} is not built; tests/run builds it")
    return str(path)


def release_program(name):
    """Path of one of our programs in the release build, for figures that sanitizers would spoil."""
    return program(name, "FINWAIT_RELEASE_BIN_DIR", "build/bin")


@pytest.fixture
def stage(tmp_path):
    """A network namespace of the test's own, and a keeper of all that it starts there."""
    from harness import Namespace, Stage  # it imports from here
    with Namespace():
        keeper = Stage(tmp_path)
        try:
            yield keeper
        finally:
            keeper.close()
