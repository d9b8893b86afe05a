terraform {
  required_version = ">= 1.6"

  required_providers {
    cloudflare = {
      source  = "cloudflare/cloudflare"
      version = "~> 5.8"
    }
  }
}

# CLOUDFLARE_API_TOKEN in the environment, with "Access: Apps and Policies Write" and
# "Access: Organizations, Identity Providers, and Groups Write" for the account. It never stands in a file.
provider "cloudflare" {}
