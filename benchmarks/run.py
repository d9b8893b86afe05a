"""`make bench`: the sidecar and its peers on the same work, in one run.

python -m benchmarks.run [--rows get,bodies,…] [--rounds N] [--seconds S] [--peers envoy,…] [--write]
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from benchmarks.contenders.everybody import PEERS
from benchmarks.document import DocumentError, write
from benchmarks.goals import GOALS
from benchmarks.session import ROWS, Options, measure
from benchmarks.table import table
from benchmarks.wrk import WrkError


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and give the exit status: 2 for wrong arguments, 1 when nothing can be measured.

    1 too when something is worse than what is held; what was measured is written all the same.
    """
    parser = _parser()
    parsed = parser.parse_args(arguments)
    if parsed.quick and parsed.write:
        parser.error("a quick run proves nothing, so it is not written down")
    options = Options(
        rows=parsed.rows,
        peers=parsed.peers,
        rounds=1 if parsed.quick else parsed.rounds,
        seconds=1 if parsed.quick else parsed.seconds,
        is_quick=parsed.quick,
        soak_minutes=parsed.soak,
    )
    try:
        result = measure(options, partial(print, flush=True))
        print(table(result))
        if parsed.write:
            write(result)
        fallen = [goal for goal in GOALS if not (parsed.quick or goal.is_held(result.measures))]
        for goal in fallen:
            print(f"worse than what is held ({goal.held:g}): {goal.text}", file=sys.stderr)
    except (WrkError, DocumentError) as error:
        print(error, file=sys.stderr)
        return 1
    return 1 if fallen else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--rows", type=_among(ROWS), default=",".join(ROWS), help="which rows; comma list")
    parser.add_argument(
        "--peers", type=_among(PEERS), default=",".join(PEERS), help="against whom; comma list"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each round")
    parser.add_argument(
        "--soak", type=float, default=0, metavar="MINUTES", help="of bounded load, for the row soak"
    )
    parser.add_argument(
        "--write", action="store_true", help="results.json, the chart and docs/performance.md"
    )
    parser.add_argument("--quick", action="store_true", help="one round of a second; proves nothing")
    return parser


def _among(known: Iterable[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        found = [name.strip() for name in text.split(",") if name.strip()]
        unknown = set(found) - set(known)
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: known are {', '.join(known)}")
        return found

    return names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
