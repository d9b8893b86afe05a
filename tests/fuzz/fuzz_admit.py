"""`python -m tests.fuzz.fuzz_admit -max_total_time=20`: see admit_target for what may never happen."""

import sys

from tests.fuzz.harness import fuzz

if __name__ == "__main__":
    fuzz("tests.fuzz.admit_target", sys.argv[1:])
