"""What the machine is and what its processors did, from /proc; where processes are pinned.

It changes nothing but this process's own limit of open files.
"""

import os
import platform
import resource
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_IDLE, _IOWAIT = 3, 4
# user nice system idle iowait irq softirq steal; guest time is already in user.
_COLUMNS: Final = 8


@dataclass(frozen=True, slots=True)
class Cores:
    """Where the load runs, and where the proxy under measure runs alone."""

    load: int
    proxy: int

    @property
    def are_apart(self) -> bool:
        return self.load != self.proxy


def choose_cores() -> Cores:
    """The first two cores that this process may use; one core twice, if there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(load=allowed[0], proxy=allowed[min(1, len(allowed) - 1)])


def pinned(command: Sequence[str], *cores: int) -> list[str]:
    """The command, held to these cores; as it is where nothing can hold it."""
    if not cores or shutil.which("taskset") is None:
        return list(command)
    return ["taskset", "-c", ",".join(str(core) for core in cores), *command]


def busy_seconds(cores: Iterable[int]) -> float:
    """Seconds that these cores have worked for anybody, the hypervisor's other guests included."""
    wanted = {f"cpu{core}" for core in cores}
    ticks = 0
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        name, *columns = line.split()
        if name in wanted:
            numbers = [int(column) for column in columns[:_COLUMNS]]
            ticks += sum(numbers) - numbers[_IDLE] - numbers[_IOWAIT]
    return ticks / _TICKS


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor time of these processes so far; one that has ended counts as nothing."""
    return sum(_cpu_ticks(pid) for pid in pids) / _TICKS


def _cpu_ticks(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    fields = text.rpartition(")")[2].split()  # a process may have a name with spaces
    return int(fields[11]) + int(fields[12])


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text(encoding="ascii").split()]
            except OSError:
                continue
    return found


def resident_bytes(pids: Iterable[int]) -> int:
    """Memory in use by these processes together (RSS)."""
    return sum(_status_kib(pid, "VmRSS") for pid in pids) * 1024


def peak_resident_bytes(pid: int) -> int:
    """The most memory that this process ever had in use."""
    return _status_kib(pid, "VmHWM") * 1024


def _status_kib(pid: int, field: str) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{field}:")), 0)


def tcp_opens() -> int:
    """Connections that this machine has opened to anywhere since its start."""
    lines = Path("/proc/net/snmp").read_text(encoding="ascii").splitlines()
    names, values = (line.split() for line in lines if line.startswith("Tcp:"))
    return int(dict(zip(names, values, strict=True))["ActiveOpens"])


def allow_many_files() -> int:
    """Raise this process's limit of open files, and its children's, to all that is allowed."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def describe() -> dict[str, str]:
    """The machine, in words for a table."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "Python": platform.python_version(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
