"""How many file descriptors the process may have: each open connection is one.

It never lowers a limit, and a limit that cannot be raised stops no start.
"""

import resource

from service_kit.telemetry.logging import get_logger

_log = get_logger(__name__)


def most_descriptors() -> int | None:
    """What `raise_limit` can reach for this process and its children; None for no limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if hard == resource.RLIM_INFINITY else hard


def raise_limit() -> None:
    """Let the process have as many as the system allows it: the usual 1024 are for programs with `select`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError) as error:  # some systems name a limit that is beyond their real maximum
        _log.warning("descriptor_limit_kept", limit=soft, cause=type(error).__name__)
    else:
        _log.info("descriptor_limit_raised", before=soft, limit=hard)
