"""Two of each on one machine, on PostgreSQL: what production has, with a stand-in for Cloudflare's edge."""
