#!/usr/bin/env bash
# npm run deploy -- ENVIRONMENT [rollout options]: deploys an environment, from a laptop or from
# .github/workflows/deploy.yaml. Run it again after any failure.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" = --help ] || [ $# -eq 0 ]; then
  cat <<'HELP'
npm run deploy -- ENVIRONMENT [options of npm run rollout]

Synthesises the stacks of the environment, applies the stack `service`, migrates the database, rolls
out both services (a canary first), applies cron.yaml and the stack `observability`, whose alerts are
sent to TF_VAR_alert_email. Terraform asks before it changes anything, unless CI is set.

If the subscriber is a worker pool, builds its image first, applies the stack `worker-pool` after the
migration, and applies it again with the image before if the rollout fails.

Requires gcloud (logged in, also with application-default credentials), terraform and
cloud-sql-proxy on the PATH, and for a worker pool docker and git. The stack `platform` must have been applied once (docs/deploy.md).
HELP
  [ $# -gt 0 ] && exit 0 || exit 2
fi
environment=$1
shift
for program in gcloud terraform cloud-sql-proxy; do
  command -v "$program" >/dev/null || { echo "deploy: $program is not on the PATH. See docs/deploy.md." >&2; exit 1; }
done
say() { echo "deploy: $*"; }

say "synthesising the stacks of $environment"
npm run --silent synth -- --environment "$environment"
. deploy/environment.sh
found=$(gcloud app describe --project="$project" --format='value(serviceAccount)')
if [ -n "$found" ] && [ "$found" != "$builder" ]; then
  echo "deploy: App Engine builds versions as $found, but the stack platform lets $builder build them. Set buildAccount: \"$found\" in iac/environments.ts, $environment, and apply the stack platform again (docs/deploy.md)." >&2
  exit 1
fi
secret=constancia-mysql-password
apply_stack() {
  local stack=.local/terraform/$environment/$1
  say "applying the stack $1 to $project"
  terraform -chdir="$stack" init -input=false
  if [ -n "${CI:-}" ]; then
    terraform -chdir="$stack" plan -input=false -out=plan.bin
    if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
      { echo '```'; terraform -chdir="$stack" show -no-color plan.bin | head -c 400000; echo '```'; } >> "$GITHUB_STEP_SUMMARY"
    fi
    terraform -chdir="$stack" apply -input=false plan.bin
  else
    terraform -chdir="$stack" apply
  fi
}

if [ "$delivery" = worker-pool ]; then
  . deploy/worker-pool.sh
  build_image
fi

# The current password, which Terraform writes only if its version was increased. A random one is
# generated only where Secret Manager answers that it has none: a password that was not read because
# of a failure would be set for the user while the secret keeps another.
versions=
secrets=$(gcloud secrets list --project="$project" --format='value(name)')
if grep -qE "(^|/)$secret\$" <<< "$secrets"; then
  versions=$(gcloud secrets versions list "$secret" --project="$project" --filter=state=enabled --format='value(name)')
fi
if [ -n "$versions" ]; then
  TF_VAR_mysql_password=$(gcloud secrets versions access latest --secret="$secret" --project="$project")
else
  TF_VAR_mysql_password=$(node -p 'crypto.randomBytes(24).toString("hex")')
fi
if [ -n "${GITHUB_ACTIONS:-}" ]; then echo "::add-mask::$TF_VAR_mysql_password"; fi
# App Engine accepts the settings of a service only after its first version.
services=$(gcloud app services list --project="$project" --format='value(id)')
TF_VAR_services_deployed=false
if grep -qx default <<< "$services" && grep -qx subscriber <<< "$services"; then TF_VAR_services_deployed=true; fi
export TF_VAR_mysql_password TF_VAR_services_deployed
apply_stack service

say "migrating the database (the old version keeps running)"
. deploy/proxy.sh
trap 'kill "$proxy" 2>/dev/null || true' EXIT
cloud-sql-proxy wait --http-port="$health" --max=60s
MYSQL_URL="mysql://constancia@127.0.0.1:$port/constancia" \
  MYSQL_PASSWORD_SECRET="projects/$project/secrets/$secret/versions/latest" npm run --silent migrate

# Nothing is printed if app.yaml requires no key. Instances take a key that is new at once.
CONSTANCIA_API_KEY=$(npm run --silent ops -- keys "$environment" rollout)
if [ -n "${GITHUB_ACTIONS:-}" ] && [ -n "$CONSTANCIA_API_KEY" ]; then echo "::add-mask::$CONSTANCIA_API_KEY"; fi
export CONSTANCIA_API_KEY

if [ "$delivery" = worker-pool ]; then
  read_running_image
  apply_stack worker-pool
fi

say "rolling out"
status=0
npm run --silent rollout -- --project="$project" --delivery="$delivery" "$@" || status=$?
if [ "$status" != 0 ]; then
  [ "$delivery" = push ] || put_pool_back "$status"
  exit "$status"
fi

say "applying cron.yaml"
gcloud app deploy cron.yaml --project="$project" --quiet

# Last, because Google accepts an SLO only of metrics that have data.
set -o errtrace
trap 'echo "deploy: the new version runs, but the stack observability was not applied. If a metric does not exist yet, run this again in ten minutes." >&2' ERR
apply_stack observability
trap - ERR
[ -n "${TF_VAR_alert_email:-}${TF_VAR_alert_slack_channel:-}" ] || say "TF_VAR_alert_email is not set: the alerts notify nobody"
