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
# give NAME: what comes in becomes the file, unless there is one. As a whole or not at all: half of one would be kept.
give() {
  if [ -s "$folder/$1" ]; then
    cat >/dev/null
    return
  fi
  cat >"$folder/.new"
  if [ ! -s "$folder/.new" ]; then
    echo "Nothing was made for $folder/$1." >&2
    return 1
  fi
  mv -f "$folder/.new" "$folder/$1"
}

random 24 | give postgres_password
random 24 | give grafana_password
random 32 | give signing_secret
random 24 | give admin_api_keys
printf 'postgres://rendiff:%s@postgres/rendiff\n' "$(cat "$folder/postgres_password")" | give database_url
# The two hold one password: the URL comes last, and says that both are there.
if [ ! -s "$folder/redis_url" ]; then
  redis="$(random 24)"
  hash="$(printf '%s' "$redis" | openssl dgst -sha256 -r | cut -d ' ' -f 1)"
  rm -f "$folder/redis_users"
  printf 'user default on #%s ~* &* +@all\n' "$hash" | give redis_users
  printf 'redis://:%s@redis\n' "$redis" | give redis_url
fi
if [ ! -f "$folder/tls_certificate" ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=localhost" \
    -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -keyout "$folder/tls_key" -out "$folder/tls_certificate" 2>/dev/null
fi
chmod 0444 "$folder"/*
echo "Secrets are in $folder; the admin key is $folder/admin_api_keys."
