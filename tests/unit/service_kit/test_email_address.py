"""One rule for addresses: equal people compare equal, look-alikes are refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service_kit.email_address import normalise_email


@pytest.mark.parametrize(
    "text, normal",
    [
        ("ada@example.com", "ada@example.com"),
        ("  Ada@Example.COM\t", "ada@example.com"),
        ("a.b+tag_x-y@sub.example.co", "a.b+tag_x-y@sub.example.co"),
        ("o'brien@example.com", "o'brien@example.com"),
        ("ada@localhost", "ada@localhost"),
    ],
)
def test_a_plain_address_has_one_normal_form(text: str, normal: str) -> None:
    """R-048: trimmed and in lower case, everywhere the same."""
    assert normalise_email(text) == normal
    assert normalise_email(normal) == normal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@@example.com",
        "ada@x@example.com",
        "ada eve@example.com",
        "ada@exa mple.com",
        '"ada eve"@example.com',
        "ada@[127.0.0.1]",
        "Ada <ada@example.com>",
        "ada@example.com,eve@example.com",
        "ada@example.com;eve@example.com",
        "ada@example.com\n",
        "\nada@example.com",
        "ada@example.com\r\nBcc: eve@example.com",
        "ada\x00@example.com",
        "ada@example.com\x7f",
        "ada@example.com\u00a0",
        "ada@example.com\u2028",
        "ada\u200b@example.com",
        "a\u212a@example.com",
        "adm\u0131n@example.com",
        "ADM\u0130N@example.com",
        "ada\uff20example.com",
        "\uff41da@example.com",
        "ad\u0430@example.com",
        "ada@ex\u00e4mple.com",
        "ada@example..com",
        "ada@.example.com",
        "ada@example.com.",
        "ada@-example.com",
    ],
    ids=ascii,
)
def test_everything_else_is_refused_without_being_quoted(text: str) -> None:
    """attacks.md section 1: KELVIN SIGN, dotless i and full width fold differently elsewhere."""
    with pytest.raises(ValueError, match=r"^must be one plain e-mail address$"):
        normalise_email(text)


def test_the_longest_address_has_254_characters() -> None:
    """RFC 5321: one more is refused."""
    local = "a" * 64
    domain = ".".join(["b" * 60] * 3)
    longest = f"{local}@{domain}.{'c' * (254 - 64 - 1 - len(domain) - 1)}"

    assert len(longest) == 254
    assert normalise_email(longest) == longest
    with pytest.raises(ValueError, match="plain"):
        normalise_email(f"{longest}c")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30) | st.emails())
def test_what_passes_is_ascii_lower_and_stable(text: str) -> None:
    """Any text: refused, or one form that every database folds alike."""
    try:
        normal = normalise_email(text)
    except ValueError:
        return

    assert normal.isascii()
    assert normal == normal.lower() == normalise_email(normal.upper())
    assert normal.count("@") == 1
    assert not set(normal) & set(' \t\r\n\x00<>,;"()[]')


@pytest.mark.parametrize("text", ["a..b.@docomo.example", ".a@example.com", "o'brien@xn--bcher-kva.example"])
def test_a_dot_may_stand_anywhere_in_the_local_part(text: str) -> None:
    """Some providers hand such addresses out; Access proves them, so they must compare equal (R-048)."""
    assert normalise_email(text.upper()) == text


@pytest.mark.parametrize(
    "text",
    [
        "a" * 65 + "@example.com",
        f"ada@{'b' * 64}.example",
        "a" * 64 + "@" + ".".join(["b" * 61] * 3) + ".defg",
        "ada@example-.com",
        "ada@exa_mple.com",
        "ada(x)@example.com",
        "u\u017fer@example.com",
        "stra\u00dfe@example.com",
        "\uff21DA@EXAMPLE.COM",
        "\ud800@example.com",
    ],
    ids=ascii,
)
def test_each_part_has_its_limits(text: str) -> None:
    """64 characters before the `@`, 63 in a label, 254 in all; what folds to ASCII is none (R-048).

    The text is the same for all of them, so it cannot quote the value.
    """
    with pytest.raises(ValueError, match=r"^must be one plain e-mail address$"):
        normalise_email(text)


@given(st.characters(min_codepoint=0x80), st.integers(0, 15))
def test_no_letter_beyond_ascii_passes_anywhere(letter: str, place: int) -> None:
    """R-048: whatever lower() or a database would fold it to, such a letter is refused and not folded."""
    text = "ada@example.com"
    with pytest.raises(ValueError, match="plain"):
        normalise_email(text[:place] + letter + text[place:])
