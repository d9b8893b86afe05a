"""Letters and addresses: what cannot be sent safely is no letter, and a URL says the whole way."""

import pytest

from service_kit.mail.address import Way, checked_sender, parse_mail_address
from service_kit.mail.composing import compose
from service_kit.mail.letter import Letter, LetterRefusedError, one_line
from tests.fakes.clock import START


@pytest.mark.parametrize(
    ("to", "subject"),
    [
        ("bob@example.com\r\nBcc: eve@example.com", "Hello"),
        ("bob@example.com, eve@example.com", "Hello"),
        ("bob@example.com\n", "Hello"),
        ("Bob@example.com", "Hello"),
        ("bob@example.com", "Hello\r\nBcc: eve@example.com"),
        ("bob@example.com", "Hello\nX: y"),
        ("bob@example.com", "Hello\x00"),
        ("bob@example.com", "Hello\u2028world"),
        ("bob@example.com", ""),
        ("bob@example.com", "x" * 201),
    ],
)
def test_headers_cannot_be_injected(to: str, subject: str) -> None:
    """R-105: an address or a subject with a second line, or with two addresses, is no letter."""
    with pytest.raises(ValueError, match=r"address|subject") as refused:
        Letter(to, subject, "text")

    assert "eve" not in str(refused.value)


def test_a_name_becomes_one_line() -> None:
    """A tenant may be called what it likes; its name in a subject stays on its line."""
    assert one_line(" Evil\r\nBcc: eve@example.com\x00\u2028 Inc ") == "Evil Bcc: eve@example.com Inc"


def test_a_letter_that_is_too_long_is_refused() -> None:
    """The outbox holds letters, not files."""
    with pytest.raises(LetterRefusedError):
        Letter("bob@example.com", "Hello", "x" * 70_000)


def test_what_was_put_is_what_comes_out() -> None:
    """A letter survives the outbox, and prints nothing of its text."""
    letter = Letter("bob@example.com", "Hello", "a secret link", "<p>")

    assert Letter.of_payload(letter.message("invitation").payload) == letter
    assert "secret" not in repr(letter) + repr(letter.message("invitation"))


def test_the_same_row_is_the_same_message() -> None:
    """Two attempts have the same headers, so that a receiver knows the second copy."""
    letter = Letter("bob@example.com", "Hello", "text", "<p>text</p>")
    first, second = (
        compose(letter, sender="A <a@example.com>", message_id="out_1", created_at=START) for _ in range(2)
    )

    assert first.as_bytes() == second.as_bytes()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example.com", (Way.STARTTLS, "mail.example.com", 587, "", "")),
        ("smtps://u:p%40ss@mail.example.com:4465", (Way.TLS, "mail.example.com", 4465, "u", "p@ss")),
        ("smtp+insecure://127.0.0.1:2525/", (Way.INSECURE, "127.0.0.1", 2525, "", "")),
        ("console:", (Way.CONSOLE, "", 0, "", "")),
    ],
)
def test_a_mail_address_says_the_way(url: str, expected: tuple[object, ...]) -> None:
    """Each scheme is one way, with its own port."""
    found = parse_mail_address(url)

    assert (found.way, found.host, found.port, found.username, found.password) == expected
    assert "p@ss" not in repr(found)


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com",
        "http://mail.example.com",
        "smtp://",
        "smtp://u:secret@",
        "smtp://mail.example.com:secret",
        "smtp://u@mail.example.com",
        "smtp://:secret@mail.example.com",
        "smtp+insecure://u:secret@mail.example.com",
        "smtp://mail.example.com/secret",
        "smtp://mail.example.com?secret=1",
        "smtp://ma il.example.com",
        "file:///",
        "file://host/folder",
        "file:relative",
        "console://secret",
    ],
)
def test_a_wrong_mail_address_is_refused_without_its_secret(url: str) -> None:
    """No password over a way without encryption, no half login, no unknown way; the text repeats nothing."""
    with pytest.raises(ValueError, match="must") as refused:
        parse_mail_address(url)

    assert "secret" not in str(refused.value)


def test_a_folder_is_an_absolute_path() -> None:
    """`file:` names a folder of this machine."""
    assert str(parse_mail_address("file:///var/mail%20box").folder) == "/var/mail box"


@pytest.mark.parametrize("value", ["mail@example.com", "Example Inc <mail@example.com>"])
def test_a_sender_is_one_address(value: str) -> None:
    """With a name, or without."""
    assert checked_sender(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Example",
        "a@example.com, b@example.com",
        "A <a@example.com>\r\nBcc: b@example.com",
        "a@b@c",
        "<@>",
    ],
)
def test_another_sender_is_refused(value: str) -> None:
    """What could become two headers or two addresses is no sender."""
    with pytest.raises(ValueError, match="must be"):
        checked_sender(value)
