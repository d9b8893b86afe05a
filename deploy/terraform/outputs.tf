output "cf_access_aud" {
  description = "CF_ACCESS_AUD of the sidecars."
  value       = cloudflare_zero_trust_access_application.admin.aud
}

output "admin_host" {
  description = "ADMIN_HOST of the sidecars and of the admin service."
  value       = var.admin_host
}
