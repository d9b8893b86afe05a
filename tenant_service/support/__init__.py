"""The one search over the people of all tenants, for support: capped, counted, and recorded (R-120)."""
