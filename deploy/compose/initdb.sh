#!/bin/bash
# Run by the PostgreSQL image on an empty data folder, and never again.
set -euo pipefail
export SALLYPORT_ADMIN_PASSWORD_FILE=/run/secrets/admin-owner-password
export SALLYPORT_TENANT_PASSWORD_FILE=/run/secrets/tenant-owner-password
psql --no-psqlrc --username "$POSTGRES_USER" --dbname postgres --file /opt/sallyport/create-databases.sql
