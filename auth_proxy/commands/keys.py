"""`auth-proxy keys`: make, rotate and list the keys that sign the internal identity.

A new key appears whole or not at all, and no key is removed that a token or a cached key set may still
name. Private bytes go from the generator into the file and nowhere else.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from auth_proxy.commands.report import Report, columns
from service_kit.identity.keys import (
    RETIRE_AFTER,
    KeyFileError,
    SigningKey,
    active_key,
    key_file_name,
    load_signing_keys,
    new_signing_key,
    retired_keys,
)

LEAD_VARIABLE: Final = "INTERNAL_SIGNING_LEAD_SECONDS"


class RotationRefusedError(Exception):
    """The folder is not to be rotated now; nothing was changed."""


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key at one moment of its life."""

    key: SigningKey
    state: str

    def document(self) -> dict[str, str]:
        return {"kid": self.key.kid, "created": _stamp(self.key.created_at), "state": self.state}

    def row(self) -> tuple[str, str, str]:
        return (self.key.kid, _stamp(self.key.created_at), self.state)


def new_key(path: Path, now: datetime) -> Report:
    """Write a key file, or one more key into a folder. Raises FileExistsError: nothing is overwritten."""
    target = path / key_file_name(now) if path.is_dir() else path
    kid = _write_whole(target)
    return Report((f"{kid}  {target}",))


def list_keys(path: Path, now: datetime, lead: timedelta) -> Report:
    """Every key with its state, newest last. Raises KeyFileError."""
    states = states_of(load_signing_keys(path), now, lead)
    return Report(
        tuple(columns([state.row() for state in states], indent="")),
        {"keys": [state.document() for state in states]},
    )


def rotate(folder: Path, now: datetime, lead: timedelta, *, force: bool = False) -> Report:
    """A new key into the folder, and out of it what nothing can name any more.

    Raises KeyFileError, or RotationRefusedError while the key before is not signing yet.
    """
    if not folder.is_dir():
        raise KeyFileError(f"{folder}: {_ONE_FILE.format(file=folder, folder=folder.with_suffix(''))}")
    keys = load_signing_keys(folder)
    newest = keys[-1]
    if now - newest.created_at < lead and not force:
        raise RotationRefusedError(
            f"{newest.kid} was made at {_moment(newest.created_at, now)} and is to sign from "
            f"{_moment(newest.created_at + lead, now)} on: rotate after that, or use --force"
        )
    new_kid = _write_whole(folder / key_file_name(now))
    # Judged without the new key, which retires nothing yet.
    gone = retired_keys(keys, now, lead)
    for key in gone:
        key.file.unlink()
    return Report(tuple(_rotated(active_key(keys, now, lead), new_kid, gone, _moment(now + lead, now))))


def states_of(keys: tuple[SigningKey, ...], now: datetime, lead: timedelta) -> tuple[KeyState, ...]:
    """Each key with its state, oldest first."""
    signs = active_key(keys, now, lead)
    gone = {key.kid for key in retired_keys(keys, now, lead)}
    successors = (*keys[1:], None)
    return tuple(
        KeyState(key, _state(key, successor, signs, now, lead) if key.kid not in gone else _REMOVABLE)
        for key, successor in zip(keys, successors, strict=True)
    )


_REMOVABLE: Final = "can be removed by rotate"
_ONE_FILE: Final = (
    "a rotation needs a folder of keys; make one: mkdir -m 700 {folder} && mv {file} {folder}/ "
    "and set INTERNAL_SIGNING_KEY_FILE={folder}"
)


def _state(
    key: SigningKey, successor: SigningKey | None, signs: SigningKey, now: datetime, lead: timedelta
) -> str:
    if key is signs:
        return "signing"
    if key.created_at > signs.created_at or successor is None:
        return f"published, signs from {_moment(key.created_at + lead, now)}"
    return f"kept until {_moment(successor.created_at + lead + RETIRE_AFTER, now)}"


def _rotated(signs: SigningKey, new_kid: str, gone: tuple[SigningKey, ...], moment: str) -> Iterator[str]:
    yield f"signing     {signs.kid}"
    yield f"published   {new_kid}, signs from {moment}"
    for key in gone:
        yield f"removed     {key.kid}"
    if not gone:
        yield "removed     none"


def _write_whole(target: Path) -> str:
    """The file appears in one moment: a sidecar that looks just now must not read half a key."""
    if target.exists():
        raise FileExistsError(f"{target}: is there already; a signing key is never overwritten")
    draft = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        kid = new_signing_key(draft)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        # A link, unlike a rename, fails when somebody else made the file meanwhile.
        target.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)
    return kid


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _moment(moment: datetime, now: datetime) -> str:
    """The time of day, with the day when it is another one."""
    return f"{moment:%H:%M:%S} UTC" if moment.date() == now.date() else f"{moment:%Y-%m-%d %H:%M:%S} UTC"
