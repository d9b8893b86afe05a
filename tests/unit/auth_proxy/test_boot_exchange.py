"""The boot exchange of a sidecar that stands alone, where its route would be wrong."""

import pytest
from aiohttp.test_utils import make_mocked_request

from auth_proxy.boot_exchange import BootExchange
from auth_proxy.pipeline.exchange import SignedGrant
from auth_proxy.refusals import Reason, Refusal
from tests.unit.auth_proxy.pipeline.values import grant


async def test_a_person_without_an_operator_is_a_wrong_route() -> None:
    """R-163: whom no roster knows gets no answer that looks like one, whatever a route says."""
    request = make_mocked_request("POST", "/api/access-sso")

    with pytest.raises(Refusal) as caught:
        await BootExchange().forward(SignedGrant(grant(), ()), request, "req_1")

    assert caught.value.reason is Reason.INTERNAL_ERROR
