"""What a supervisor hands to each worker that it starts: its number, its sockets, its lifeline.

It travels in one environment variable that is no setting: nobody but the supervisor writes it, and what
does not fit is refused like a wrong setting.
"""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from service_kit.settings import SettingProblem, SettingsError

VARIABLE: Final = "AUTH_PROXY_INHERITED"
STARTED: Final = b"+"
"""What a worker writes into its lifeline once it serves."""
ALL_LEAVE: Final = b"-"
"""What the supervisor writes into the lifelines before it stops all workers: none will have a successor."""
_NO_SETTING: Final = "is no setting: auth-proxy run itself writes it for its workers"


@dataclass(frozen=True, slots=True)
class Inherited:
    """The place of one worker. The numbers of `gate`, `ops` and `lifeline` are file descriptors."""

    number: int
    workers: int
    gate: tuple[int, ...]
    ops: tuple[int, ...]
    lifeline: int
    folder: str
    """Where the workers of one sidecar find each other; for the user of the process alone."""

    @property
    def descriptors(self) -> tuple[int, ...]:
        return (*self.gate, *self.ops, self.lifeline)

    def environment(self) -> dict[str, str]:
        return {VARIABLE: json.dumps(asdict(self))}


def inherited_from(environ: Mapping[str, str]) -> Inherited | None:
    """What this process was given; None where no supervisor started it. Raises SettingsError."""
    text = environ.get(VARIABLE, "")
    if not text:
        return None
    try:
        found = Inherited(**json.loads(text))
        found = Inherited(
            int(found.number),
            int(found.workers),
            tuple(map(int, found.gate)),
            tuple(map(int, found.ops)),
            int(found.lifeline),
            str(Path(found.folder)),
        )
        for descriptor in found.descriptors:
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - the function's only option
    except (ValueError, TypeError, OSError) as error:
        raise SettingsError([SettingProblem(VARIABLE, _NO_SETTING)]) from error
    return found


def listening_sockets(descriptors: tuple[int, ...]) -> tuple[socket.socket, ...]:
    """The sockets behind inherited descriptors. Raises SettingsError for one that does not listen."""
    sockets = []
    for descriptor in descriptors:
        try:
            found = socket.socket(fileno=descriptor)
            listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError as error:
            raise SettingsError([SettingProblem(VARIABLE, _NO_SETTING)]) from error
        if not listens:
            found.detach()
            raise SettingsError([SettingProblem(VARIABLE, _NO_SETTING)])
        sockets.append(found)
    return tuple(sockets)
