"""--help fits the terminal that it is read in."""
import subprocess

import pytest

from conftest import program

COLUMNS = 80
COMMANDS = (
    ("finwait-server",), ("finwait-loadgen",), ("finwait-stat",),
    ("finwait-lab",), ("finwait-lab", "demo"), ("finwait-lab", "run"), ("finwait-lab", "pair"),
    ("finwait-lab", "compare"), ("finwait-lab", "timewait"), ("finwait-null",),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_is_at_most_80_columns_wide(command):
    text = subprocess.run([program(command[0]), *command[1:], "--help"], check=True, timeout=60,
                          capture_output=True, text=True).stdout
    assert "--" in text
    assert [line for line in text.splitlines() if len(line) > COLUMNS] == []
