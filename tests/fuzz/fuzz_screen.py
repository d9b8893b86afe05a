"""`python -m tests.fuzz.fuzz_screen -max_total_time=20`: see screen_target for what may never happen."""

import sys

from tests.fuzz.harness import fuzz

if __name__ == "__main__":
    fuzz("tests.fuzz.screen_target", sys.argv[1:])
