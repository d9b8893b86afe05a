variable "account_id" {
  description = "The Cloudflare account of the Zero Trust team."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{32}$", var.account_id))
    error_message = "An account id has 32 hexadecimal digits."
  }
}

variable "admin_host" {
  description = "ADMIN_HOST: the whole host that Access protects, without a path (R-138)."
  type        = string
  default     = "admin.example.com"

  validation {
    condition     = can(regex("^[a-z0-9.-]+$", var.admin_host))
    error_message = "Only a host name: a path would leave the rest of the host open."
  }
}

variable "email_domains" {
  description = "The domains of your operators' addresses, without @."
  type        = list(string)

  validation {
    condition     = length(var.email_domains) > 0 && alltrue([for domain in var.email_domains : can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", domain))])
    error_message = "At least one domain such as example.com. An empty list would let nobody in."
  }
}

variable "identity_provider_ids" {
  description = "The identity providers that operators may use: ones that enforce a second factor."
  type        = list(string)

  validation {
    condition     = length(var.identity_provider_ids) > 0
    error_message = "Name them: an empty list would allow every provider of the account, also one without a second factor."
  }
}

variable "mfa_methods" {
  description = "Authentication methods (RFC 8176) of which one must have been used (R-138)."
  type        = set(string)
  default     = ["mfa", "swk", "hwk", "otp"]
}
