"""Why the team's key set could not be renewed: one closed list for the log and the metric.

    Exception
    └── KeyRefreshError      carries a RefreshOutcome; never reaches a caller of the sidecar

It holds no refusal of a request: those are `auth_proxy.refusals`.
"""

from enum import StrEnum, unique


@unique
class RefreshOutcome(StrEnum):
    """How one fetch of the key set ended; every value is safe as a metric label."""

    OK = "ok"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    REDIRECT = "redirect"
    STATUS = "status"
    TOO_LARGE = "too_large"
    ENCODING = "encoding"
    MALFORMED = "malformed"
    TOO_MANY_KEYS = "too_many_keys"
    DUPLICATE_KID = "duplicate_kid"
    NO_USABLE_KEY = "no_usable_key"
    INTERNAL = "internal"


class KeyRefreshError(Exception):
    """The answer cannot replace the keys we have; `retry_after` is the endpoint's own wish in seconds."""

    def __init__(self, outcome: RefreshOutcome, *, retry_after: float | None = None) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome
        self.retry_after = retry_after
