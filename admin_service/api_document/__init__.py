"""The operators' API of both services as one OpenAPI document."""
