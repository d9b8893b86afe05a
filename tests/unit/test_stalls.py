"""The machine that stands still: what runs under it loses time, and nothing else."""

import json
import subprocess
import sys

TICKS = """
import json, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", '''
import json, time
began = last = time.monotonic()
longest = 0.0
while last - began < 3:
    time.sleep(0.005)
    longest, last = max(longest, time.monotonic() - last), time.monotonic()
print(json.dumps(longest))
'''])
sys.exit(child.wait() or 7)
"""


def test_what_a_command_started_stands_still_and_goes_on() -> None:
    """Children stand still for so long, end by themselves, and the status is the command's."""
    words = [sys.executable, "-m", "tests.stalls", "--seconds", "0.6", "--every", "0.5", "--"]
    done = subprocess.run(
        [*words, sys.executable, "-c", TICKS], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 7, done.stderr
    assert json.loads(done.stdout) > 0.15
