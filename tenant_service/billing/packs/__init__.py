"""Credit packs: what tenants can buy, and at which price."""
