"""`auth-proxy doctor`: tries the live parts of a configuration, and says the fix for what is wrong.

Each file looks at one part. A check asks only the addresses that are configured, changes nothing, and
never stops another check.
"""
