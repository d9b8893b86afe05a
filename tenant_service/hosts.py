"""The host names and links of tenants; they come from settings and ids, never from a request's Host."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TenantHosts:
    """Where tenants are reached: `https://{slug}.app.example.com`.

    `base` may carry a port for a demo on one machine (`localhost:8003`).
    """

    base: str
    scheme: str = "https"

    def host(self, slug: str) -> str:
        """R-104: `hostedAt`."""
        return f"{slug}.{self.base}"

    def accept_url(self, slug: str, invitation_code: str) -> str:
        """R-105: the link that the owner follows."""
        return f"{self.scheme}://{self.host(slug)}/accept-invite/{invitation_code}"
