"""`python -m tests.fuzz.fuzz_claims -max_total_time=20`: see claims_target for what may never happen."""

import sys

from tests.fuzz.harness import fuzz

if __name__ == "__main__":
    fuzz("tests.fuzz.claims_target", sys.argv[1:])
