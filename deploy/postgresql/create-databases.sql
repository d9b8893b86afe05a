-- Makes the roles and the two databases, once per server, as a superuser:
--
--   export SALLYPORT_ADMIN_PASSWORD_FILE=…/admin-owner.password SALLYPORT_TENANT_PASSWORD_FILE=…/tenant-owner.password
--   psql --file deploy/postgresql/create-databases.sql
--
-- What each role may do: docs/postgresql.md. The owners need no right over the server.
\set ON_ERROR_STOP on
\set admin_password `cat "$SALLYPORT_ADMIN_PASSWORD_FILE"`
\set tenant_password `cat "$SALLYPORT_TENANT_PASSWORD_FILE"`
SET password_encryption = 'scram-sha-256';

-- Roles belong to the whole server: another installation on it may have made these four.
SELECT format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS', role)
  FROM unnest(ARRAY['admin_app', 'platform_app', 'platform_reader', 'tenant_app']) AS role
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec
CREATE ROLE admin_owner LOGIN PASSWORD :'admin_password';
CREATE ROLE tenant_owner LOGIN PASSWORD :'tenant_password';
GRANT admin_app TO admin_owner;
GRANT platform_app, platform_reader, tenant_app TO tenant_owner;

CREATE DATABASE sallyport_admin OWNER admin_owner;
CREATE DATABASE sallyport_tenant OWNER tenant_owner;
-- Neither service can so much as connect to the other's database (R-006).
REVOKE ALL ON DATABASE sallyport_admin FROM PUBLIC;
REVOKE ALL ON DATABASE sallyport_tenant FROM PUBLIC;
