"""`python -m tests.fuzz.fuzz_planted -max_total_time=20` must fail: see planted_target."""

import sys

from tests.fuzz.harness import fuzz

if __name__ == "__main__":
    fuzz("tests.fuzz.planted_target", sys.argv[1:])
