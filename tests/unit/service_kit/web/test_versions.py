"""If-Match and ETag of rows (http-api 3.0)."""

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from service_kit.errors import PreconditionRequiredError
from service_kit.web.versions import etag, expected_versions, versions_if_given


def asked_with(*lines: str) -> frozenset[int]:
    headers = CIMultiDict([("If-Match", line) for line in lines])
    return expected_versions(make_mocked_request("POST", "/", headers=headers))


@pytest.mark.parametrize(
    ("lines", "versions"),
    [
        (['"7"'], {7}),
        (['W/"7"'], {7}),
        (['"7", "8"'], {7, 8}),
        (['"7"', ' "9" '], {7, 9}),
        (["7"], set()),
        (['"abc"'], set()),
        (['"-7"'], set()),
        (['"٧"'.encode().decode("latin-1")], set()),
        (['"' + "9" * 40 + '"'], set()),
        (['w/"7"'], set()),
    ],
)
def test_the_versions_that_a_caller_has_seen(lines: list[str], versions: set[int]) -> None:
    """G-01: one tag, a weak one, several; what is none of our tags matches no version at all."""
    assert asked_with(*lines) == versions


@pytest.mark.parametrize("lines", [[], [""], [" , "], ["*"], ['"7", *']])
def test_no_version_is_428(lines: list[str]) -> None:
    """G-01: without an If-Match that names a version nothing is changed: 428 PRECONDITION_REQUIRED."""
    with pytest.raises(PreconditionRequiredError) as caught:
        asked_with(*lines)

    assert (caught.value.status, caught.value.code) == (428, "PRECONDITION_REQUIRED")


@pytest.mark.parametrize(
    ("lines", "versions"), [([], None), (["*"], None), (['"7"'], {7}), ([""], set()), (["7"], set())]
)
def test_where_the_header_may_be_absent(lines: list[str], versions: set[int] | None) -> None:
    """R-087, RFC 9110 13.1.1: none and `*` ask for no version; who names one is held to it."""
    headers = CIMultiDict([("If-Match", line) for line in lines])

    assert versions_if_given(make_mocked_request("DELETE", "/", headers=headers)) == versions


def test_the_tag_comes_back_as_it_went_out() -> None:
    """What ETag says, If-Match understands."""
    assert asked_with(etag(12)["ETag"]) == {12}
