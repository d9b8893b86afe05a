#!/bin/sh
# Makes the keys and passwords of a new installation, each in a file of its own, in a folder that must not exist yet.
#
#   deploy/make-secrets.sh FOLDER
#
# It needs openssl and nothing of Sallyport. It prints no secret, and overwrites none.
set -eu
umask 077

folder=${1:?"usage: $0 FOLDER"}
if [ -e "$folder" ]; then
  echo "$folder is there already: keys are never overwritten" >&2
  exit 1
fi
mkdir -p "$folder/identity"

# Signs the internal identity; the sidecars read the folder. The name tells the key's age.
openssl genpkey -algorithm ed25519 -out "$folder/identity/$(date -u +%Y%m%dT%H%M%SZ).pem"
# Each service signs the checkpoints of its own audit log.
openssl genpkey -algorithm ed25519 -out "$folder/admin-audit.pem"
openssl genpkey -algorithm ed25519 -out "$folder/tenant-audit.pem"
# Digests of support searches, and what waits in the outbox.
openssl rand -base64 32 > "$folder/tenant-predicate.key"
openssl rand -base64 32 > "$folder/tenant-outbox.key"
# The database: its superuser, and the owner of each service's database.
for name in postgres-superuser admin-owner tenant-owner; do
  openssl rand -hex 24 | tr -d '\n' > "$folder/$name.password"
done
echo "*:*:sallyport_admin:admin_owner:$(cat "$folder/admin-owner.password")" > "$folder/admin.pgpass"
echo "*:*:sallyport_tenant:tenant_owner:$(cat "$folder/tenant-owner.password")" > "$folder/tenant.pgpass"

echo "Made $folder. Keep a copy of it in a safe place, apart from the copies of the databases."
