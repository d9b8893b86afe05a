"""The tenants' own plane: the pages and the API of `{slug}.app.example.com`, behind no Access."""
