#!/bin/sh
# Writes the files that kustomize can't take from where they are, because it reads nothing outside its own directories.
# Run it after a change of tasks/strategies.toml or compose/observability/rules.yaml; a test says when it was forgotten.
set -eu
cd "$(dirname "$0")"

sed '1s|\.\./docs/|../../docs/|' ../tasks/strategies.toml >base/strategies.toml
{
    cat <<'END'
# Written by k8s/copies.sh from compose/observability/rules.yaml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: realtime-strategies
spec:
END
    sed 's/^./  &/' ../compose/observability/rules.yaml
} >components/monitoring/rules.yaml
