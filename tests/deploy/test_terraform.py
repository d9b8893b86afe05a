"""The Terraform of the Access application: the runbook of R-138, and none of the ways to get it wrong."""

import shutil
import subprocess
from typing import Any, Final

import hcl2
import pytest
from hcl2 import SerializationOptions

from tests.deploy.shipped import DEPLOY, PROCESSES

TERRAFORM: Final = DEPLOY / "terraform"
APPLICATION: Final = "cloudflare_zero_trust_access_application"
POLICY: Final = "cloudflare_zero_trust_access_policy"
GROUP: Final = "cloudflare_zero_trust_access_group"


def blocks(kind: str) -> list[dict[str, Any]]:
    """The blocks of one kind in all files, without quotes around names and values."""
    found: list[dict[str, Any]] = []
    for path in sorted(TERRAFORM.glob("*.tf")):
        options = SerializationOptions(strip_string_quotes=True, explicit_blocks=False)
        found += hcl2.loads(path.read_text(encoding="utf-8"), serialization_options=options).get(kind, [])
    return found


def resource(kind: str) -> dict[str, Any]:
    """The one resource of a kind."""
    (found,) = [
        named for block in blocks("resource") for found_kind, named in block.items() if found_kind == kind
    ]
    (content,) = found.values()
    assert isinstance(content, dict)
    return content


def variable(name: str) -> dict[str, Any]:
    (found,) = [block[name] for block in blocks("variable") if name in block]
    assert isinstance(found, dict)
    return found


def test_the_whole_host_for_eight_hours() -> None:
    """R-138: a self-hosted application for the host without a path, with sessions of eight hours."""
    application = resource(APPLICATION)

    assert application["type"] == "self_hosted"
    assert application["domain"] == "${var.admin_host}"
    assert application["session_duration"] == resource(POLICY)["session_duration"] == "8h"
    assert variable("admin_host")["default"] == "admin.example.com"


def test_one_policy_which_allows_operators_with_a_second_factor() -> None:
    """R-138: email domain, and one of mfa, swk, hwk, otp. A group joins by OR, Require by AND."""
    policy, group = resource(POLICY), resource(GROUP)

    assert policy["decision"] == "allow"
    assert "email_domain = {domain = domain}" in policy["include"]
    assert policy["require"] == [{"group": {"id": f"${{{GROUP}.second_factor.id}}"}}]
    assert "for method in var.mfa_methods" in group["include"]
    assert set(variable("mfa_methods")["default"]) == {"mfa", "swk", "hwk", "otp"}
    assert [each["id"] for each in resource(APPLICATION)["policies"]] == [f"${{{POLICY}.operators.id}}"]


def test_no_way_round_the_policy() -> None:
    """No bypass, no service token, no preflight that comes through without one; providers are named."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in TERRAFORM.glob("*.tf"))
    application = resource(APPLICATION)

    assert {kind for block in blocks("resource") for kind in block} == {APPLICATION, POLICY, GROUP}
    assert "non_identity" not in text
    assert "service_token" not in text
    assert application["options_preflight_bypass"] in (False, "false")
    assert application["http_only_cookie_attribute"] in (True, "true")
    assert application["same_site_cookie_attribute"] in ("lax", "strict")
    assert application["allowed_idps"] == "${var.identity_provider_ids}"
    assert "default" not in variable("identity_provider_ids")


def test_the_tag_comes_out_under_the_name_of_the_setting() -> None:
    """R-034: the AUD tag is an output, named after the sidecar's setting."""
    outputs = {name: content for block in blocks("output") for name, content in block.items()}

    assert outputs["cf_access_aud"]["value"] == f"${{{APPLICATION}.admin.aud}}"
    assert {name.upper() for name in outputs} <= PROCESSES["auth-proxy"].variables


def test_the_provider_is_pinned_and_given_no_secret() -> None:
    """One major version of the provider, whose token comes from the environment and stands in no file."""
    (requirements,) = [block["required_providers"] for block in blocks("terraform")]
    provider = requirements[0]["cloudflare"] if isinstance(requirements, list) else requirements["cloudflare"]

    assert provider["source"] == "cloudflare/cloudflare"
    assert provider["version"].startswith("~> 5.")
    assert "api_token" not in "\n".join(p.read_text(encoding="utf-8") for p in TERRAFORM.glob("*.tf"))
    ignored = (TERRAFORM / ".gitignore").read_text(encoding="utf-8").split()
    assert {"*.tfstate*", "*.tfvars"} <= set(ignored)


def test_terraform_would_not_format_it_otherwise() -> None:
    """Where Terraform is installed, it parses the files and finds them formatted."""
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip(
            "terraform is not installed, and no Debian package brings it"
        )  # also in CI: hcl2 parses it
    done = subprocess.run(
        [terraform, "fmt", "-check", "-diff", str(TERRAFORM)], capture_output=True, check=False
    )

    assert done.returncode == 0, done.stdout.decode()
