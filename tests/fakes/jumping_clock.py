"""A clock whose wall time can jump by itself, as a machine's does when its clock is set."""

from datetime import timedelta

from tests.fakes.clock import FrozenClock


class JumpingClock(FrozenClock):
    """`advance` moves both times, `jump` the wall time alone."""

    def jump(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
