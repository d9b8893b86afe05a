"""What a configuration makes of requests: the steps that decide them, and where granted ones lead."""

from dataclasses import dataclass

from auth_proxy.pipeline.admit import AdmitPolicy, admit
from auth_proxy.pipeline.authenticate import Authenticator, InsecureDevAuthenticator
from auth_proxy.pipeline.authorize import Authorizer
from auth_proxy.pipeline.exchange import RawRequest, Screened, SignedGrant
from auth_proxy.pipeline.identify import identify
from auth_proxy.pipeline.screen import ScreenPolicy, screen
from auth_proxy.pipeline.vouch import Voucher
from auth_proxy.refusals import Reason, Refusal
from auth_proxy.transport.dispatch import Carrier


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The steps in their order. What one returns is all that the next one gets."""

    admit_policy: AdmitPolicy
    screen_policy: ScreenPolicy
    authenticator: Authenticator | InsecureDevAuthenticator
    accepted_types: frozenset[str]
    authorizer: Authorizer
    voucher: Voucher
    is_misconfigured: bool = False

    async def decide(self, raw: RawRequest) -> SignedGrant:
        """The signed grant of a request. Raises Refusal."""
        verified = await self.authenticator.authenticate(self._screened(raw))
        person = identify(verified, accepted_types=self.accepted_types)
        grant = await self.authorizer.authorize(person)
        return self.voucher.vouch(grant)

    def decide_at_once(self, raw: RawRequest) -> SignedGrant | None:
        """What `decide` gives, where nothing has to be waited for; None where something has. Raises Refusal.

        After None nothing has been decided, and nothing counted: `decide` begins anew.
        """
        verified = self.authenticator.authenticate_at_once(self._screened(raw))
        if verified is None:
            return None
        person = identify(verified, accepted_types=self.accepted_types)
        grant = self.authorizer.authorize_at_once(person)
        return None if grant is None else self.voucher.vouch(grant)

    def _screened(self, raw: RawRequest) -> Screened:
        if self.is_misconfigured:
            raise Refusal(Reason.MISCONFIGURED)
        return screen(admit(raw, self.admit_policy), self.screen_policy)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a configuration makes of requests: how they are decided, and where they lead."""

    pipeline: Pipeline
    forwarder: Carrier
