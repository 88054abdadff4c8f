#!/usr/bin/env bash
# npm run ops -- audit-cloud ENVIRONMENT [options of npm run ops -- audit]: the audit of a project on Google
# Cloud, its result written to the project's own log, the same from a laptop, by cron, and from
# .github/workflows/audit.yaml.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" = --help ] || [ $# -eq 0 ]; then
  cat <<'HELP'
npm run ops -- audit-cloud ENVIRONMENT [options of npm run ops -- audit]

Asks the environment's database for the receipt of every write of the last three hours, or of
--since, and writes one line to the log constancia-audit of its project, which the alert
WritesMissing reads. Needs gcloud (logged in, also with application-default credentials) and
cloud-sql-proxy on the PATH. Ends with the audit's own status: 0 all settled, 1 some missing,
2 wrong usage, 3 not all could be asked.
HELP
  [ $# -gt 0 ] && exit 0 || exit 2
fi
environment=$1
shift
# Each write is looked at by three audits: one that does not run leaves no gap. What is younger than
# a quarter of an hour may still be waiting, which BacklogOld reports, and the next audit looks again.
[ $# -gt 0 ] || set -- --since 3h --grace 15m
for program in gcloud cloud-sql-proxy; do
  command -v "$program" >/dev/null || { echo "audit: $program is not on the PATH; see docs/deploy.md." >&2; exit 3; }
done
. deploy/environment.sh
folder=$(mktemp -d)
proxy=
trap 'kill $proxy 2>/dev/null || true; rm -rf "$folder"' EXIT

. deploy/proxy.sh
status=0
cloud-sql-proxy wait --http-port="$health" --max=60s || status=3
if [ "$status" = 0 ]; then
  GOOGLE_CLOUD_PROJECT=$project MYSQL_URL="mysql://constancia@127.0.0.1:$port/constancia" \
    MYSQL_PASSWORD_SECRET="projects/$project/secrets/constancia-mysql-password/versions/latest" \
    npm run --silent ops -- audit --json "$@" > "$folder/report" || status=$?
fi
# Without a report there is no number of missing writes, and none is made up.
line=$(node -e 'const { readFileSync } = require("node:fs");
  const [folder, status] = process.argv.slice(1);
  const line = { message: "audit finished", status: Number(status) };
  try {
    const { counts, missing } = JSON.parse(readFileSync(`${folder}/report`, "utf8"));
    Object.assign(line, counts, { first: missing.slice(0, 100) });
  } catch {}
  console.log(JSON.stringify(line));' "$folder" "$status")
echo "audit: $line"
severity=INFO
[ "$status" = 0 ] || severity=ERROR
gcloud logging write constancia-audit "$line" --payload-type=json --severity="$severity" --project="$project"
exit "$status"
