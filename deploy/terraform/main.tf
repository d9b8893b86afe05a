# The Access application of the admin host and its one policy (R-034, R-138; docs/access-setup.md).

# Values of a Require rule are joined by AND: four methods there would ask for all four at once, and let nobody in.
# A group joins what it includes by OR, and the policy requires the group.
resource "cloudflare_zero_trust_access_group" "second_factor" {
  account_id = var.account_id
  name       = "${var.admin_host}: a second factor"

  include = [for method in var.mfa_methods : { auth_method = { auth_method = method } }]
}

resource "cloudflare_zero_trust_access_policy" "operators" {
  account_id       = var.account_id
  name             = "${var.admin_host}: operators"
  decision         = "allow"
  session_duration = "8h"

  include = [for domain in var.email_domains : { email_domain = { domain = domain } }]
  require = [{ group = { id = cloudflare_zero_trust_access_group.second_factor.id } }]
}

resource "cloudflare_zero_trust_access_application" "admin" {
  account_id = var.account_id
  name       = var.admin_host
  type       = "self_hosted"

  # The whole host: no path (R-138).
  domain           = var.admin_host
  session_duration = "8h"

  # One policy. No bypass, which lets requests through without a token and without a log; no service tokens.
  policies = [{ id = cloudflare_zero_trust_access_policy.operators.id, precedence = 1 }]

  allowed_idps              = var.identity_provider_ids
  auto_redirect_to_identity = length(var.identity_provider_ids) == 1

  # Page scripts never need the cookie, and pages of other sites do not get it sent along with a POST.
  http_only_cookie_attribute = true
  same_site_cookie_attribute = "lax"
  # A preflight is answered by Access, and nothing of it reaches the origin without a token.
  options_preflight_bypass = false
  app_launcher_visible     = true

  # A new application has a new AUD tag, and every token for the old one is refused from then on.
  lifecycle {
    prevent_destroy = true
  }
}
