"""A value behind a file: renewed when the file changes, kept when the new file is broken."""

import asyncio
from pathlib import Path

import pytest

from auth_proxy.watched import Watched


class BrokenError(Exception):
    """The file is no number."""


def number(path: Path) -> int:
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BrokenError(f"{path}: no number") from error


def write(path: Path, text: str) -> None:
    """As careful tools write: a new file under the old name."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def test_a_broken_file_stops_the_start(tmp_path: Path) -> None:
    """There is no last good value yet."""
    with pytest.raises(BrokenError):
        Watched(tmp_path / "missing", number, expected=BrokenError)


def test_the_last_good_value_stays_until_a_better_one_comes(tmp_path: Path) -> None:
    """Changed, broken, gone, good again: told of each once, and never left without a value."""
    path = tmp_path / "n"
    write(path, "1")
    adopted: list[int] = []
    refused: list[bool] = []
    watched = Watched(
        path, number, expected=BrokenError, adopted=adopted.append, refused=lambda: refused.append(True)
    )

    def after(change: str | None) -> int:
        if change is None:
            path.unlink()
        else:
            write(path, change)
        for _ in range(3):
            watched.look()
        return watched.value

    assert watched.value == 1
    assert (after("2"), adopted, len(refused)) == (2, [2], 0)
    assert (after("two"), adopted, len(refused)) == (2, [2], 1)
    assert (after(None), adopted, len(refused)) == (2, [2], 2)
    assert (after("3"), adopted, len(refused)) == (3, [2, 3], 2)


def test_a_defect_of_the_loader_does_not_end_the_looking(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error that nobody expected is a refusal too, and its text, which may hold a value, is not told."""
    path = tmp_path / "n"
    write(path, "1")
    watched = Watched(path, number, expected=KeyError)
    write(path, "x")
    watched.look()

    assert watched.value == 1
    told = capsys.readouterr()
    assert "BrokenError" in told.out + told.err
    assert "no number" not in told.out + told.err
    write(path, "2")
    watched.look()
    assert watched.value == 2


async def test_it_looks_by_itself_while_it_runs(tmp_path: Path) -> None:
    """No signal and no restart is needed; after closing nothing is read any more."""
    path = tmp_path / "n"
    write(path, "1")
    watched = Watched(path, number, expected=BrokenError, every_seconds=0.01)
    await watched.start()
    write(path, "2")
    async with asyncio.timeout(20):
        while watched.value != 2:
            await asyncio.sleep(0.01)
    await watched.close()
    write(path, "3")
    await asyncio.sleep(0.05)

    assert watched.value == 2


async def test_closing_what_never_started_is_nothing(tmp_path: Path) -> None:
    """A start that failed half-way closes everything."""
    write(tmp_path / "n", "1")

    await Watched(tmp_path / "n", number, expected=BrokenError).close()


@pytest.mark.parametrize("where", ["is_dir", "stat", "read_text"])
async def test_an_error_of_the_machine_does_not_end_the_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A folder that is shut for a moment: what is taken out of the roster afterwards still counts (R-064)."""
    path = tmp_path / "n"
    write(path, "1")
    watched = Watched(path, number, expected=BrokenError, every_seconds=0.01)
    await watched.start()
    with monkeypatch.context() as shut:

        def denied(*_: object, **__: object) -> None:
            raise PermissionError

        shut.setattr(Path, where, denied)
        await asyncio.sleep(0.1)
    write(path, "2")
    async with asyncio.timeout(20):
        while watched.value != 2:
            await asyncio.sleep(0.01)
    await watched.close()


def test_what_the_owner_makes_of_a_value_does_not_end_the_looking_either(tmp_path: Path) -> None:
    """A defect behind `adopted` is told like a broken file."""
    path = tmp_path / "n"
    write(path, "1")
    refused: list[bool] = []

    def breaks(_value: int) -> None:
        raise RuntimeError

    watched = Watched(
        path, number, expected=BrokenError, adopted=breaks, refused=lambda: refused.append(True)
    )
    write(path, "2")
    watched.look()

    assert refused == [True]


def test_what_is_not_adopted_is_not_taken_over(tmp_path: Path) -> None:
    """A version that the rest of the process cannot use is refused as a broken one is."""
    path = tmp_path / "n"
    write(path, "1")

    def only_odd(value: int) -> None:
        if value % 2 == 0:
            raise BrokenError("even")

    watched = Watched(path, number, expected=BrokenError, adopted=only_odd)
    write(path, "2")
    watched.look()
    assert (watched.value, watched.is_stale) == (1, True)
    write(path, "3")
    watched.look()
    assert (watched.value, watched.is_stale) == (3, False)


def test_what_was_refused_is_tried_again_and_told_of_once(tmp_path: Path) -> None:
    """A file may have needed something beside it; another problem of the same file is news."""
    path = tmp_path / "n"
    write(path, "1")
    beside = tmp_path / "beside"
    told: list[bool] = []

    def load(path: Path) -> int:
        if not beside.exists():
            raise BrokenError("nothing beside it")
        if not beside.read_text(encoding="utf-8"):
            raise BrokenError("nothing in it")
        return number(path)

    write(beside, "x")
    watched = Watched(path, load, expected=BrokenError, refused=lambda: told.append(True))
    beside.unlink()
    write(path, "2")
    for _ in range(3):
        watched.look()
    assert (watched.value, len(told)) == (1, 1)
    beside.touch()
    for _ in range(3):
        watched.look()
    assert (watched.value, len(told)) == (1, 2)
    write(beside, "x")
    watched.look()
    assert (watched.value, watched.is_stale, len(told)) == (2, False, 2)


def test_a_look_anyway_reads_what_seems_unchanged(tmp_path: Path) -> None:
    """Who sends a signal wants the file read; each refusal of it is told."""
    path = tmp_path / "n"
    write(path, "1")
    read: list[Path] = []
    told: list[bool] = []

    def load(path: Path) -> int:
        read.append(path)
        return number(path)

    watched = Watched(path, load, expected=BrokenError, refused=lambda: told.append(True))
    watched.look()
    assert len(read) == 1
    watched.look(anyway=True)
    assert len(read) == 2
    write(path, "x")
    for _ in range(2):
        watched.look(anyway=True)
    assert len(told) == 2


async def test_a_file_that_still_changes_is_not_read_yet(tmp_path: Path) -> None:
    """Half of a file may be a good one that says less."""
    path = tmp_path / "n"
    write(path, "1")
    adopted: list[int] = []
    watched = Watched(path, number, expected=BrokenError, adopted=adopted.append, every_seconds=0.05)
    await watched.start()
    for size in range(2, 30):
        path.write_text("1" * size, encoding="utf-8")
        await asyncio.sleep(0.01)
    assert adopted == []
    async with asyncio.timeout(20):
        while not adopted:
            await asyncio.sleep(0.01)
    await watched.close()

    assert adopted == [int("1" * 29)]


async def test_a_defect_of_the_glimpse_does_not_end_the_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what nobody expected while the files are compared: the next look still counts (R-064)."""
    path = tmp_path / "n"
    write(path, "1")
    watched = Watched(path, number, expected=BrokenError, every_seconds=0.01)
    await watched.start()
    with monkeypatch.context() as broken:

        def defect(_path: Path) -> object:
            raise ZeroDivisionError

        broken.setattr("auth_proxy.watched._signature", defect)
        await asyncio.sleep(0.1)
    write(path, "2")
    async with asyncio.timeout(20):
        while watched.value != 2:
            await asyncio.sleep(0.01)
    await watched.close()
