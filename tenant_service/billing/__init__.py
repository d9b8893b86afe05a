"""Credits of tenants: the packs that are on offer, and the ledger of what was granted and used."""
