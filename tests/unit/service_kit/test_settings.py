"""Settings: all problems together, by variable, and never a value."""

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AliasChoices, Field, ValidationError

from service_kit.settings import (
    CommaList,
    Listen,
    ListenAddress,
    ServiceSettings,
    SettingsError,
    load_settings,
    variables,
)


class Sample(ServiceSettings):
    host: str = Field(validation_alias="SAMPLE_HOST")
    mode: Literal["a", "b"] = Field(default="a", validation_alias=AliasChoices("SAMPLE_MODE", "OLD_MODE"))
    count: int = Field(default=1, ge=1, validation_alias="SAMPLE_COUNT")
    names: CommaList = ("x",)
    listen: ListenAddress = Field(default=Listen("127.0.0.1", 80), validation_alias="SAMPLE_LISTEN")


def problems(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(Sample, environ)
    assert str(caught.value) == "\n".join(str(problem) for problem in caught.value.problems)
    return [str(problem) for problem in caught.value.problems]


def test_all_problems_come_together_by_variable() -> None:
    """One start tells everything that is wrong."""
    told = problems(SAMPLE_MODE="hunter2", OLD_MODE="b", SAMPLE_COUNT="hunter2", SAMPLE_LISTEN="hunter2")

    assert told == [
        "SAMPLE_MODE / OLD_MODE: are set to different values; set one of them",
        "SAMPLE_HOST: is required",
        "SAMPLE_MODE: Input should be 'a' or 'b'",
        "SAMPLE_COUNT: Input should be a valid integer, unable to parse string as an integer",
        "SAMPLE_LISTEN: must be host:port, [ipv6]:port or unix:/path",
    ]
    assert "hunter2" not in str(told)


def test_an_old_name_that_is_wrong_is_told_by_the_canonical_one() -> None:
    """The fix is written for the name that stays."""
    assert problems(SAMPLE_HOST="h", OLD_MODE="c") == ["SAMPLE_MODE: Input should be 'a' or 'b'"]


def test_empty_is_unset_and_space_is_nothing() -> None:
    """A variable without a value has its default; one with space around its value is trimmed."""
    loaded = load_settings(
        Sample, {"SAMPLE_HOST": " h ", "SAMPLE_COUNT": "", "OLD_MODE": "  ", "NAMES": " a, ,b ,"}
    )

    assert (loaded.host, loaded.count, loaded.mode, loaded.names) == ("h", 1, "a", ("a", "b"))
    assert problems(SAMPLE_HOST="   ") == ["SAMPLE_HOST: is required"]


def test_two_names_may_agree() -> None:
    """C-04: only different values are a conflict, and an empty one is none."""
    both = {"SAMPLE_HOST": "h", "SAMPLE_MODE": "b", "OLD_MODE": "b"}

    assert load_settings(Sample, both).mode == "b"
    assert load_settings(Sample, {**both, "SAMPLE_MODE": ""}).mode == "b"
    assert problems(**{**both, "OLD_MODE": "a"}) == [
        "SAMPLE_MODE / OLD_MODE: are set to different values; set one of them"
    ]


def test_the_process_environment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts arrives as an argument."""
    monkeypatch.setenv("SAMPLE_HOST", "from-the-process")

    assert problems() == ["SAMPLE_HOST: is required"]


def test_settings_are_frozen_and_know_their_names() -> None:
    """Read once; the documentation is made of the same names."""
    loaded = load_settings(Sample, {"SAMPLE_HOST": "h"})
    with pytest.raises(ValidationError):
        loaded.count = 2  # type: ignore[misc]  # the point of the test

    assert variables(Sample) == {
        "host": ("SAMPLE_HOST",),
        "mode": ("SAMPLE_MODE", "OLD_MODE"),
        "count": ("SAMPLE_COUNT",),
        "names": ("NAMES",),
        "listen": ("SAMPLE_LISTEN",),
    }


@pytest.mark.parametrize(
    "text, listen, loopback",
    [
        ("127.0.0.1:8080", Listen("127.0.0.1", 8080), True),
        ("127.9.9.9:0", Listen("127.9.9.9", 0), True),
        ("localhost:65535", Listen("localhost", 65535), True),
        ("[::1]:8080", Listen("::1", 8080), True),
        ("unix:/run/x.sock", Listen(path="/run/x.sock"), True),
        ("0.0.0.0:80", Listen("0.0.0.0", 80), False),
        ("[::]:80", Listen("::", 80), False),
        ("10.0.0.1:80", Listen("10.0.0.1", 80), False),
        ("localhost.evil.example:80", Listen("localhost.evil.example", 80), False),
    ],
)
def test_a_listen_address_is_read_and_written_alike(text: str, listen: Listen, loopback: bool) -> None:
    """R-136: who can reach a listener is known from its address; a name is not trusted."""
    assert Listen.parse(text) == listen
    assert str(listen) == text
    assert listen.is_loopback is loopback
    assert Listen.parse(listen) is listen


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8080",
        ":8080",
        "host",
        "host:",
        "host:x",
        "host:-1",
        "127.0.0.1:65536",
        "host:99999999999",
        "host:٨٠",
        "::1:8080",
        "[::1]",
        "[::1]8080",
        "[]:80",
        "unix:",
        "unix:relative",
        "a b:80",
        "host:80\n",
        "host: 80",
    ],
    ids=repr,
)
def test_any_other_listen_address_is_refused(text: str) -> None:
    """A port that does not exist, an address that could bind to everything by mistake."""
    with pytest.raises(ValueError, match="must be host:port"):
        Listen.parse(text)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=30))
def test_no_text_crashes_a_listen_address(text: str) -> None:
    """Refused with our words, or read and written alike."""
    try:
        listen = Listen.parse(text)
    except ValueError as error:
        assert str(error).startswith("must be host:port")  # noqa: PT017 - a property: both ends are fine
        return

    assert Listen.parse(str(listen)) == listen
