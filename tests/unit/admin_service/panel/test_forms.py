"""Reading forms, and proving that a form is our own."""

from collections.abc import Mapping
from urllib.parse import quote

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from admin_service.panel.forms import (
    MOST_FORM_BYTES,
    TOKEN_SECONDS,
    Form,
    FormTokens,
    new_idempotency_key,
    read_form,
    require_own_origin,
)
from service_kit.errors import BadRequestError, ForbiddenError, PayloadTooLargeError, UnsupportedMediaError
from tests.fakes.clock import FrozenClock

FORM_TYPE = "application/x-www-form-urlencoded"
ORIGIN = "https://admin.example.com"
KEY = b"k" * 32


def request_of(
    body: bytes = b"", *, headers: Mapping[str, str] | CIMultiDict[str] | None = None, kind: str = FORM_TYPE
) -> web.Request:
    given_headers = CIMultiDict(headers or {})
    given_headers.setdefault("Content-Type", kind)
    reader = StreamReader(BaseProtocol(loop=None), 2**16, loop=None)  # type: ignore[arg-type] # never waits
    reader.feed_data(body)
    reader.feed_eof()
    return make_mocked_request("POST", "/manage/x", headers=given_headers, payload=reader)


class TestReadForm:
    async def test_fields_are_read_as_typed(self) -> None:
        """Letters of any script and empty fields arrive; spaces around a text do not count."""
        form = await read_form(request_of(b"name=Caf%C3%A9+%26+Co&slug=+acme+&plan="))

        assert form.text("name") == "Café & Co"
        assert form.text("slug") == "acme"
        assert form.fields["slug"] == " acme "
        assert form.text("plan") == ""
        assert form.text("absent") == ""

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"a=1&a=2", id="field twice"),
            pytest.param(b"a=1&%61=2", id="field twice in two spellings"),
            pytest.param(b"a=%00", id="nul"),
            pytest.param(b"a=x%0d%0aSet-Cookie:y", id="line break"),
            pytest.param(b"a%0a=1", id="line break in a name"),
            pytest.param(b"a=%ff", id="not utf-8"),
            pytest.param(b"a=%ed%a0%80", id="lone surrogate"),
            pytest.param("a=é".encode(), id="raw bytes"),
            pytest.param(b"&".join(b"f%d=1" % number for number in range(51)), id="too many fields"),
        ],
    )
    async def test_what_two_readers_could_read_differently_is_refused(self, body: bytes) -> None:
        """A form that is not plain is refused whole; nothing of it is used."""
        with pytest.raises(BadRequestError, match="FORM_INVALID"):
            await read_form(request_of(body))

    @pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain"])
    async def test_other_media_types_are_refused(self, kind: str) -> None:
        """A cross-site script can send text/plain without a preflight; it reaches no form."""
        with pytest.raises(UnsupportedMediaError):
            await read_form(request_of(b"a=1", kind=kind))

    async def test_a_large_form_is_refused(self) -> None:
        """64 KiB is the most, also when no length was announced."""
        with pytest.raises(PayloadTooLargeError):
            await read_form(request_of(b"a=" + b"x" * MOST_FORM_BYTES))

    async def test_a_large_form_is_refused_before_it_is_read(self) -> None:
        """An announced length decides without reading."""
        with pytest.raises(PayloadTooLargeError):
            await read_form(request_of(headers={"Content-Length": str(MOST_FORM_BYTES + 1)}))

    @given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(max_size=40), max_size=5))
    async def test_whatever_a_browser_encodes_comes_back_or_is_refused(self, fields: dict[str, str]) -> None:
        """No text makes reading fail in a way that is not a named refusal."""
        body = "&".join(
            f"{name}={quote(value.encode('utf-8', 'surrogatepass'))}" for name, value in fields.items()
        )
        try:
            form = await read_form(request_of(body.encode()))
        except BadRequestError:
            return

        assert form.fields == fields


class TestIdempotencyKey:
    def test_a_new_key_is_accepted(self) -> None:
        """What a page puts into its form is what the form reader takes."""
        key = new_idempotency_key()

        assert Form({"idempotency_key": key}).idempotency_key == key
        assert new_idempotency_key() != key

    @pytest.mark.parametrize("key", ["", "short", "a" * 65, "a b" * 8, 'a"' * 10, "ключ" * 5])
    def test_another_key_is_refused(self, key: str) -> None:
        """A form without its key would not be safe to send twice."""
        with pytest.raises(BadRequestError):
            _ = Form({"idempotency_key": key}).idempotency_key


class TestOrigin:
    @pytest.mark.parametrize(
        "headers",
        [
            pytest.param({"Origin": ORIGIN}, id="old browser"),
            pytest.param({"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}, id="browser"),
        ],
    )
    async def test_our_own_page_passes(self, headers: dict[str, str]) -> None:
        """A form of the panel itself is let through."""
        require_own_origin(request_of(headers=headers), (ORIGIN,))

    @pytest.mark.parametrize(
        "headers",
        [
            pytest.param({}, id="no origin"),
            pytest.param({"Origin": "null"}, id="null"),
            pytest.param({"Origin": "https://evil.example"}, id="foreign"),
            pytest.param({"Origin": "http://admin.example.com"}, id="other scheme"),
            pytest.param({"Origin": ORIGIN + ":444"}, id="other port"),
            pytest.param({"Origin": ORIGIN + ".evil.example"}, id="prefix"),
            pytest.param({"Origin": ORIGIN.upper()}, id="other case"),
            pytest.param({"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"}, id="cross site"),
            pytest.param({"Origin": ORIGIN, "Sec-Fetch-Site": "same-site"}, id="same site"),
            pytest.param({"Origin": ORIGIN, "Sec-Fetch-Site": "none"}, id="typed"),
            pytest.param({"Referer": ORIGIN + "/manage"}, id="referer only"),
            pytest.param(CIMultiDict([("Origin", ORIGIN), ("Origin", ORIGIN)]), id="twice"),
        ],
    )
    async def test_everything_else_is_refused(self, headers: dict[str, str]) -> None:
        """A form from anywhere else is refused before it is read (R-097)."""
        with pytest.raises(ForbiddenError, match="ORIGIN_REJECTED"):
            require_own_origin(request_of(headers=headers), (ORIGIN,))


class TestFormTokens:
    def test_a_token_is_good_for_its_form_and_person(self) -> None:
        """What was issued is accepted."""
        tokens = FormTokens(KEY, FrozenClock())

        assert tokens.is_valid(tokens.issue("sub-1", "theme"), "sub-1", "theme")

    @pytest.mark.parametrize(
        ("subject", "form", "key"),
        [("sub-2", "theme", KEY), ("sub-1", "other", KEY), ("sub-1", "theme", b"x" * 32)],
        ids=["another person", "another form", "another key"],
    )
    def test_a_token_is_good_for_nothing_else(self, subject: str, form: str, key: bytes) -> None:
        """A token of somebody else, of another form or of another service proves nothing."""
        clock = FrozenClock()
        token = FormTokens(key, clock).issue(subject, form)

        assert not FormTokens(KEY, clock).is_valid(token, "sub-1", "theme")

    def test_subject_and_form_do_not_run_together(self) -> None:
        """No person's name can borrow a letter of the form's."""
        tokens = FormTokens(KEY, FrozenClock())

        assert not tokens.is_valid(tokens.issue("ab", "c"), "a", "bc")

    def test_a_token_ends_after_twelve_hours(self) -> None:
        """Just before, it is good; from then on it is not."""
        clock = FrozenClock()
        tokens = FormTokens(KEY, clock)
        token = tokens.issue("sub-1", "theme")
        clock.advance(TOKEN_SECONDS - 1)
        assert tokens.is_valid(token, "sub-1", "theme")
        clock.advance(1)

        assert not tokens.is_valid(token, "sub-1", "theme")

    def test_a_token_cannot_be_made_younger(self) -> None:
        """The expiry stands under the signature."""
        clock = FrozenClock()
        tokens = FormTokens(KEY, clock)
        expiry, mac = tokens.issue("sub-1", "theme").split(".")

        assert not tokens.is_valid(f"{int(expiry) + 1}.{mac}", "sub-1", "theme")

    @pytest.mark.parametrize(
        "token", ["", ".", "1.", "1." + "A" * 43, "x." + "A" * 43, "1" * 400, "1.é", "٣." + "A" * 43]
    )
    def test_what_is_no_token_is_not_valid(self, token: str) -> None:
        """Nonsense is answered with no, never with an exception."""
        assert not FormTokens(KEY, FrozenClock()).is_valid(token, "sub-1", "theme")

    @given(st.text(max_size=80))
    def test_no_text_breaks_the_check(self, token: str) -> None:
        """Any text is judged, none is valid."""
        assert not FormTokens(KEY, FrozenClock()).is_valid(token, "sub-1", "theme")
