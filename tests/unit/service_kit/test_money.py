"""Amounts as people write them: exact in both directions, and nothing is guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_kit.money import MOST_MINOR, AmountError, currencies, parsed, plain, shown


@pytest.mark.parametrize(
    "minor, currency, text",
    [
        (1, "INR", "₹0.01"),
        (24900, "INR", "₹249.00"),
        (99999, "INR", "₹999.99"),
        (100000, "INR", "₹1,000.00"),
        (9999900, "INR", "₹99,999.00"),
        (29990000, "INR", "₹2,99,900.00"),
        (1234567890, "INR", "₹1,23,45,678.90"),
        (123456789012, "INR", "₹1,23,45,67,890.12"),
        (3600, "USD", "$36.00"),
        (299900, "USD", "$2,999.00"),
        (1234567890, "USD", "$12,345,678.90"),
        (0, "USD", "$0.00"),
        (-29990000, "INR", "-₹2,99,900.00"),
    ],
)
def test_an_amount_is_shown_as_people_write_it(minor: int, currency: str, text: str) -> None:
    """R-024: rupees in lakhs and crores, dollars by thousands, always two decimals."""
    assert shown(minor, currency) == text


@pytest.mark.parametrize(
    "text, currency, minor",
    [
        ("249.00", "INR", 24900),
        ("249", "INR", 24900),
        ("249.5", "INR", 24950),
        ("2,99,900.00", "INR", 29990000),
        ("299,900.00", "INR", 29990000),
        ("₹ 2,99,900", "INR", 29990000),
        ("299900", "INR", 29990000),
        ("  36.00 ", "USD", 3600),
        ("$1,234.56", "USD", 123456),
        ("0.01", "USD", 1),
    ],
)
def test_an_amount_is_read(text: str, currency: str, minor: int) -> None:
    """R-025: major units with or without sign, decimals and either grouping that the currency has."""
    assert parsed(text, currency) == minor


@pytest.mark.parametrize("currency", ["INR", "USD"])
@pytest.mark.parametrize(
    "text",
    [
        "", " ", ".", "0", "0.00", "-1", "+1", "1.", ".5", "1.234", "1e5", "1 000", "1,00", "1,0000", ",100",
        "100,", "1,,000", "1.000,00", "٣٦", "３６", "1_000", "0x10", "NaN", "inf", "€5", "₹$5", "5₹",
        "1\n", "1\x00", "9" * 40, "2,9,900", "12,34,5678",
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused(text: str, currency: str) -> None:
    """R-025: no exponent, no foreign digits, no third decimal, no groups that are none; never a guess."""
    with pytest.raises(AmountError):
        parsed(text.replace("\n", "\n1"), currency)


def test_a_sign_and_a_grouping_belong_to_their_currency() -> None:
    """R-025: lakhs are no dollars, and a dollar sign is no rupee."""
    for text, currency in (("2,99,900.00", "USD"), ("$5", "INR"), ("₹5", "USD")):
        with pytest.raises(AmountError):
            parsed(text, currency)


@given(st.integers(1, MOST_MINOR), st.sampled_from(currencies()))
def test_what_is_shown_is_read_back(minor: int, currency: str) -> None:
    """R-024, R-025: not a paisa or a cent is lost between the form and the list."""
    assert parsed(shown(minor, currency), currency) == minor
    assert parsed(plain(minor), currency) == minor
