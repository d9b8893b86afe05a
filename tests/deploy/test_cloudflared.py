"""The tunnel's configuration: one host, to the sidecar alone, with nothing that weakens it."""

from typing import Any, Final

import yaml

from tests.deploy.shipped import DEPLOY, PROCESSES, ports

PATH: Final = DEPLOY / "cloudflared" / "config.yml"
DANGEROUS: Final = {
    "noTLSVerify",
    "httpHostHeader",
    "http2Origin",
    "bastionMode",
    "proxyType",
    "disableChunkedEncoding",
}


def configuration() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    return found


def test_the_tunnel_leads_to_the_sidecar_and_nowhere_else() -> None:
    """R-136: the one host goes to the sidecar's port on loopback; everything else is 404."""
    *rules, last = configuration()["ingress"]
    listen = ports(PROCESSES["auth-proxy"].settings)["listen"]

    assert [rule["service"] for rule in rules] == [f"http://127.0.0.1:{listen}"]
    assert all(rule["hostname"] and "*" not in rule["hostname"] and "path" not in rule for rule in rules)
    assert last == {"service": "http_status:404"}


def test_tokens_are_required_at_the_tunnel_too() -> None:
    """`required` is set together with the team and the tag: alone it would check nothing."""
    access = configuration()["ingress"][0]["originRequest"]["access"]

    assert access["required"] is True
    assert access["teamName"]
    assert access["audTag"]


def test_no_switch_that_weakens_is_on() -> None:
    """The host arrives as the browser sent it, TLS is verified, and the file names the dangers."""
    config = configuration()
    options = [
        config.get("originRequest", {}),
        *(rule.get("originRequest", {}) for rule in config["ingress"]),
    ]

    assert not [name for given in options for name in given if name in DANGEROUS]
    text = PATH.read_text(encoding="utf-8")
    assert all(name in text for name in ("noTLSVerify", "httpHostHeader", "http2Origin"))
    assert config["metrics"].startswith("127.0.0.1:")
