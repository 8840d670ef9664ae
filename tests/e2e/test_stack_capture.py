"""A capture of every row of the close table on the stack: tshark finds no bad checksum, whole
conversations, and nothing odd. tests/long stack_capture does the same with 10,000 a row."""
import pytest

from capture import capture_row, check_row
from harness import CLOSES
from probe import CLOSERS
from proof import ProofCable

COUNT = 300


@pytest.mark.parametrize("close", CLOSES)
@pytest.mark.parametrize("closer", CLOSERS)
def test_tshark_finds_nothing_wrong(stage, closer, close):
    cable = ProofCable(stage, kernel_here=False)
    outcome = capture_row(stage, cable, (closer, close), COUNT)
    assert not check_row((closer, close), COUNT, outcome)
