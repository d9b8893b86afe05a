"""What a decision's costly parts tell the metrics: signature checks and signing, each where it happens.

Neither happens for most requests: a token is proven once, and an identity for safe methods is reused for
five seconds. So a request that needs neither pays nothing here.
"""

from dataclasses import dataclass
from functools import partial

from auth_proxy.access.key_set import KeySet
from auth_proxy.composition.decision import Lasting, lasting_of
from auth_proxy.composition.operators import Operators
from auth_proxy.decision_log import ProxyMetrics
from auth_proxy.settings import ProxySettings
from service_kit.clock import Clock
from service_kit.identity.signing import IdentitySigner, RequestBinding, Subject


@dataclass(frozen=True, slots=True)
class MeasuredSigner:
    """Signs as its signer does, and tells how long that took."""

    signer: IdentitySigner
    metrics: ProxyMetrics
    clock: Clock

    def sign(
        self,
        subject: Subject,
        *,
        audience: str,
        binding: RequestBinding | None = None,
        delegate: str | None = None,
    ) -> str:
        """Raises SigningError."""
        started = self.clock.monotonic()
        token = self.signer.sign(subject, audience=audience, binding=binding, delegate=delegate)
        self.metrics.signing.observe(self.clock.monotonic() - started)
        return token


def measured_lasting(
    settings: ProxySettings,
    keys: KeySet,
    operators: Operators,
    signer: IdentitySigner,
    clock: Clock,
    *,
    metrics: ProxyMetrics,
) -> Lasting:
    """What decides, watched."""
    verified = metrics.signature_checks.labels("verified")
    refused = metrics.signature_checks.labels("refused")

    def checked(holds: bool) -> None:  # noqa: FBT001 - the callback's only argument
        (verified if holds else refused).inc()

    measured = MeasuredSigner(signer, metrics, clock)
    lasting = lasting_of(settings, keys, operators, measured, clock, checked=checked)
    for place, kind in enumerate(("verified", "refused")):
        metrics.remembered_tokens.labels(kind).set_function(partial(_remembered, lasting, place))
    return lasting


def _remembered(lasting: Lasting, place: int) -> float:
    return lasting.verifier.remembered[place]
