"""What the stand-in edge needs to know, checked before anything is bound; it refuses production by name."""

from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from deploy.demo.key_store import checked_audience
from deploy.demo.loopback import NotLoopback, is_loopback_name, loopback_addresses

ENVIRONMENT_VARIABLES = ("APP_ENV", "NODE_ENV")


class RefusedInProduction(RuntimeError):  # noqa: N818 - the name is the refusal
    """The environment calls itself production; there, Cloudflare is the edge."""


class BadUpstream(ValueError):  # noqa: N818 - the name is the refusal
    """The sidecar's address is not of the form `http://host:port`."""


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """`team_domain` is what browsers open and what tokens name as issuer; `audience` empty: the kept one."""

    listen: str = "127.0.0.1:8000"
    upstream: str = "http://127.0.0.1:8080"
    data: Path = Path("data/demo")
    audience: str = ""
    team_domain: str = ""
    token_lifetime: timedelta = timedelta(hours=24)
    session_lifetime: timedelta = timedelta(days=7)

    def __post_init__(self) -> None:
        loopback_addresses(self.listen)
        if self.audience:
            checked_audience(self.audience)
        parts = urlsplit(self.upstream)
        if parts.scheme != "http" or not parts.hostname or parts.path not in {"", "/"} or parts.query:
            raise BadUpstream(f"{self.upstream!r} is not of the form http://host:port")
        object.__setattr__(self, "upstream", self.upstream.rstrip("/"))
        object.__setattr__(self, "team_domain", self._checked_team_domain())

    @property
    def host(self) -> str:
        """The one protected host, as browsers send it."""
        return urlsplit(self.team_domain).netloc

    @property
    def scheme(self) -> str:
        return urlsplit(self.team_domain).scheme

    def _checked_team_domain(self) -> str:
        """Refuses a real team: nothing here may ever sign in its name."""
        team = (self.team_domain or f"http://localhost:{self.listen.rpartition(':')[2]}").rstrip("/").lower()
        parts = urlsplit(team)
        if parts.scheme not in {"http", "https"} or not is_loopback_name(parts.hostname or ""):
            raise NotLoopback(f"the team domain {team!r} is not on this machine")
        return team


def refuse_production(environment: Mapping[str, str]) -> None:
    """Raise `RefusedInProduction` when a variable says so; unset means development here."""
    for name in ENVIRONMENT_VARIABLES:
        if environment.get(name, "").strip().lower() == "production":
            raise RefusedInProduction(
                f"{name} is production: the stand-in for Cloudflare Access does not start"
            )


def settings_from_arguments(arguments: Sequence[str]) -> EdgeSettings:
    """Read the command line of `python -m deploy.demo.edge`."""
    usual = EdgeSettings()
    parser = ArgumentParser(
        prog="python -m deploy.demo.edge",
        description="A stand-in for Cloudflare Access, for development on this machine only.",
    )
    parser.add_argument("--listen", default=usual.listen, help="loopback only (default: %(default)s)")
    parser.add_argument("--upstream", default=usual.upstream, help="the sidecar (default: %(default)s)")
    parser.add_argument("--data", default=usual.data, type=Path, help="keys and tag (default: %(default)s)")
    parser.add_argument("--aud", default="", help="64 hex digits (default: the one kept in the data folder)")
    parser.add_argument("--team-domain", default="", help="default: http://localhost:<port>")
    parser.add_argument(
        "--token-lifetime", default=int(usual.token_lifetime.total_seconds()), type=int, metavar="SECONDS"
    )
    given = parser.parse_args(arguments)
    return EdgeSettings(
        listen=given.listen,
        upstream=given.upstream,
        data=given.data,
        audience=given.aud,
        team_domain=given.team_domain,
        token_lifetime=timedelta(seconds=given.token_lifetime),
    )
