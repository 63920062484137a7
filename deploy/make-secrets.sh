#!/bin/sh
# make-secrets.sh [FOLDER]: makes what compose.prod.yml reads from ./secrets, leaving what is there. The certificate is one
# that nobody trusts, so that everything starts: put a real one in its place, or set ACME_EMAIL.
set -eu
umask 077
folder="${1:-secrets}"
mkdir -p "$folder"
# The folder keeps others out; the files are read by the users of several containers.
chmod 700 "$folder"

random() { openssl rand -hex "$1"; }
password() { [ -f "$folder/$1" ] || random 24 >"$folder/$1"; }
# give NAME: what comes in becomes the file, unless there is one.
give() { if [ -f "$folder/$1" ]; then cat >/dev/null; else cat >"$folder/$1"; fi; }

password postgres_password
password grafana_password
random 32 | give signing_secret
random 24 | give admin_api_keys
printf 'postgres://rendiff:%s@postgres/rendiff\n' "$(cat "$folder/postgres_password")" | give database_url
if [ ! -f "$folder/redis_url" ]; then
  redis="$(random 24)"
  printf 'redis://:%s@redis\n' "$redis" >"$folder/redis_url"
  hash="$(printf '%s' "$redis" | openssl dgst -sha256 -r | cut -d ' ' -f 1)"
  printf 'user default on #%s ~* &* +@all\n' "$hash" >"$folder/redis_users"
fi
if [ ! -f "$folder/tls_certificate" ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=localhost" \
    -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -keyout "$folder/tls_key" -out "$folder/tls_certificate" 2>/dev/null
fi
chmod 0444 "$folder"/*
echo "Secrets are in $folder; the admin key is $folder/admin_api_keys."
