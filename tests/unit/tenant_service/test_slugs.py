"""The rules of slugs (data-model 2.7)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenant_service.tenants.slugs import SlugRule, broken_rule, candidates, load_reserved_slugs

RESERVED = load_reserved_slugs()
WRITTEN = re.compile(r"^[a-z](?:[a-z0-9-]{1,61}[a-z0-9])\Z")
"""The expression of data-model 2.7."""


def may_be_a_slug(text: str) -> bool:
    return bool(WRITTEN.match(text)) and "--" not in text and text not in RESERVED


@given(st.text(max_size=70) | st.text(alphabet="aAzZ09-.\n", min_size=1, max_size=70))
def test_exactly_what_the_written_rule_allows_is_allowed(text: str) -> None:
    """No text passes that the specification's expression refuses, and none is refused that it allows."""
    assert (broken_rule(text, RESERVED) is None) is may_be_a_slug(text)


@given(st.from_regex(WRITTEN))
def test_well_formed_texts_are_judged_by_hyphens_and_reservation_only(text: str) -> None:
    """Among well-formed texts only a double hyphen or a reserved word is refused."""
    expected = SlugRule.DOUBLE_HYPHEN if "--" in text else None

    assert broken_rule(text, RESERVED) == (SlugRule.RESERVED if text in RESERVED else expected)


@pytest.mark.parametrize(
    ("slug", "rule"),
    [
        ("ab", SlugRule.LENGTH),
        ("a" * 63, None),
        ("a" * 64, SlugRule.LENGTH),
        ("abc", None),
        ("a-b", None),
        ("a--b", SlugRule.DOUBLE_HYPHEN),
        ("xn--80ak6aa92e", SlugRule.DOUBLE_HYPHEN),
        ("007", SlugRule.FIRST_CHARACTER),
        ("acme\n", SlugRule.CHARACTERS),
        ("аcme", SlugRule.CHARACTERS),  # CYRILLIC SMALL LETTER A
        ("acme.", SlugRule.CHARACTERS),
        ("ACME", SlugRule.CHARACTERS),
        ("aⅽme", SlugRule.CHARACTERS),  # SMALL ROMAN NUMERAL ONE HUNDRED
        ("acme٣", SlugRule.CHARACTERS),  # ARABIC-INDIC DIGIT THREE
        ("ﬁrm", SlugRule.CHARACTERS),  # LATIN SMALL LIGATURE FI
    ],
)
def test_each_rule_has_its_edge(slug: str, rule: SlugRule | None) -> None:
    """Lengths, first and last characters, hyphens and look-alike letters (R-100)."""
    assert broken_rule(slug, RESERVED) is rule


REQUIRED_RESERVATIONS = (
    "www api app admin manage auth login static cdn-cgi autodiscover wpad isatap mta-sts "
    "abuse noc security postmaster hostmaster usenet news webmaster uucp ftp info marketing sales support "
    "sallyport cloudflare localhost"
)


@pytest.mark.parametrize("word", REQUIRED_RESERVATIONS.split())
def test_the_words_of_the_specification_are_reserved(word: str) -> None:
    """RFC 2142's mailboxes, the hosts that clients look up, and our own names."""
    assert broken_rule(word, RESERVED) is SlugRule.RESERVED


LOOKALIKES = (
    "\u0430\u0435\u043e\u0440\u0441\u0445\u0501\u0261\u0131\uff41\u1d43\u2170\u00df\u212a"
    "\u017f\u0307\u200b\u00ad\u2010\u2011\uff0d"
)
"""Letters and hyphens of other alphabets that look like those of a slug, and marks that nobody sees."""


@given(st.from_regex(WRITTEN), st.sampled_from(LOOKALIKES), st.integers(0, 62))
def test_one_look_alike_anywhere_is_refused(text: str, letter: str, place: int) -> None:
    """R-100, data-model 2.7: no homoglyph, no invisible character and no other hyphen gets through."""
    disguised = text[:place] + letter + text[place + 1 :]

    assert broken_rule(disguised, RESERVED) is SlugRule.CHARACTERS


@given(st.from_regex(r"\A[0-9]{1,70}\Z") | st.from_regex(r"\Axn--[a-z0-9-]{0,60}\Z"))
def test_numbers_and_encoded_names_are_refused(text: str) -> None:
    """R-100, data-model 2.7: digits alone and `xn--…` are no slugs, whatever their length."""
    assert broken_rule(text, RESERVED) is not None


def test_every_reserved_word_could_otherwise_be_a_slug() -> None:
    """A line that another rule refuses already would only pretend to protect something."""
    assert [word for word in sorted(RESERVED) if broken_rule(word, frozenset()) is not None] == []


@given(st.text(max_size=80), st.text(max_size=200))
def test_every_candidate_may_be_had(slug: str, name: str) -> None:
    """A suggestion breaks no rule, is not what was asked for, and stands there once."""
    found = candidates(slug, name, RESERVED)

    assert all(broken_rule(word, RESERVED) is None for word in found)
    assert slug not in found
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("slug", "name", "first"),
    [
        ("Acme", "Whatever", "acme"),
        ("acme", "Acme Inc.", "acme-inc"),
        ("acme", "!", "acme-hq"),
        ("123-acme", "!", "acme"),
        ("admin", "Zürich & Söhne", "zurich-sohne"),
        ("a" * 64, "!", "a" * 60),
    ],
)
def test_the_first_candidate_is_near_to_the_wish(slug: str, name: str, first: str) -> None:
    """The mended slug comes first, then the tenant's name, then endings."""
    assert candidates(slug, name, RESERVED)[0] == first


def test_a_reserved_word_is_not_varied() -> None:
    """Nobody is led to "admin-hq": it would mislead people as "admin" does."""
    assert candidates("admin", "Admin", RESERVED) == ()
