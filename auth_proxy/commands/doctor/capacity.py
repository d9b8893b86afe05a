"""Doctor's look at the room of the process: whether it has the descriptors and the cores for what it is told.

It sees the limit that it runs under itself; a service manager may give the sidecar another one.
"""

import os
from typing import Final

from auth_proxy.commands.doctor.patient import Patient
from auth_proxy.commands.report import Finding, fine, warning
from auth_proxy.descriptors import most_descriptors

_PER_CONNECTION: Final = 2
"""The client's, and the one of its request to an upstream or of the file that it is sent."""
_FIX: Final = (
    "start the sidecar with a higher limit (systemd: LimitNOFILE, docker: --ulimit nofile), or lower "
    "AUTH_PROXY_MAX_CONNECTIONS; at the limit new clients are not accepted and upstreams not reached"
)


async def look_at_descriptors(patient: Patient) -> list[Finding]:
    """Whether AUTH_PROXY_MAX_CONNECTIONS fits into the limit of file descriptors."""
    connections, most = patient.settings.max_connections, most_descriptors()
    seen = f"{connections} connections may need {connections * _PER_CONNECTION}"
    if patient.settings.workers > 1:
        seen = f"each of {patient.settings.workers} workers: {seen}"
    if most is None:
        return [fine("file descriptors", f"{seen}, there is no limit")]
    if most < connections * _PER_CONNECTION:
        return [warning("file descriptors", f"{seen}, the limit here is {most}", _FIX)]
    return [fine("file descriptors", f"{seen}, the limit here is {most}")]


async def look_at_workers(patient: Patient) -> list[Finding]:
    """Whether each worker can have a core; more of them only take turns."""
    workers, cores = patient.settings.workers, usable_cores()
    if workers == 1:
        return [fine("workers", "1, the process itself")]
    seen = f"{workers} on {cores} cores"
    if workers > cores:
        fix = f"set AUTH_PROXY_WORKERS to {cores} at most: what else runs here needs a part of them too"
        return [warning("workers", seen, fix)]
    return [fine("workers", seen)]


def usable_cores() -> int:
    """The cores that this process may run on; a limit of CPU time (a container's quota) is not seen."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
