#!/bin/sh
# Two roles: one owns the tables, the other reads and writes rows and is bound by row security.
set -eu
owner=$(cat /run/secrets/postgres_owner_password)
app=$(cat /run/secrets/postgres_app_password)
psql -v ON_ERROR_STOP=1 -v owner="$owner" -v app="$app" -U postgres -d careloop <<'SQL'
CREATE ROLE careloop_owner LOGIN PASSWORD :'owner';
CREATE ROLE careloop_app LOGIN PASSWORD :'app';
ALTER DATABASE careloop OWNER TO careloop_owner;
ALTER SCHEMA public OWNER TO careloop_owner;
REVOKE ALL ON DATABASE careloop FROM PUBLIC;
GRANT CONNECT ON DATABASE careloop TO careloop_app;
SQL
