import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** As gcloud: strict with commands and flags; a secret's versions are files in a folder of its name. */
const PROGRAM = `#!/bin/bash
fail() { echo "ERROR: (gcloud.secrets) $1" >&2; exit 1; }
cd "$(dirname "$0")/secrets" || exit 1
echo "$*" >> ../calls
[ "$1 $2" = "secrets versions" ] || fail "no such command"
case " $* " in *" --project=constancia-staging "*) ;; *) fail "PERMISSION_DENIED: another project" ;; esac
case " $* " in *" --quiet "*) ;; *) fail "it would ask a question" ;; esac
secret=$4
for arg; do case $arg in --secret=*) secret=\${arg#--secret=} ;; esac; done
[ -d "$secret" ] || fail "NOT_FOUND: Secret [$secret] not found"
latest=$(ls "$secret" | sort -n | tail -1)
version=$4
[ "$version" != latest ] || version=$latest
name=projects/1/secrets/$secret/versions
case $3 in
  describe) [ -n "$version" ] || fail "NOT_FOUND: no versions"; echo "$name/$version" ;;
  access) [ -f "$secret/$version" ] || fail "NOT_FOUND: no version $version"; cat "$secret/$version" ;;
  add)
    case " $* " in *" --data-file=- "*) ;; *) fail "no data" ;; esac
    [ ! -f ../race ] || { echo other > "$secret/$((latest + 1))"; latest=$((latest + 1)); }
    cat > "$secret/$((latest + 1))"; echo "$name/$((latest + 1))" ;;
  *) fail "no such command" ;;
esac
`;

/** Installs a `gcloud` in the folder that knows Secret Manager only, with these secrets. */
export function installStandInSecretManager(folder: string, secrets: readonly string[]) {
  writeFileSync(join(folder, "gcloud"), PROGRAM, { mode: 0o755 });
  for (const secret of secrets) mkdirSync(join(folder, "secrets", secret), { recursive: true });
  const list = (secret: string) =>
    readdirSync(join(folder, "secrets", secret))
      .map(Number)
      .sort((a, b) => a - b);
  return {
    /** The command lines of all calls. */
    calls: () =>
      existsSync(join(folder, "calls")) ? readFileSync(join(folder, "calls"), "utf8") : "",
    /** The values of a secret's versions, oldest first. */
    values: (secret: string) =>
      list(secret).map((version) =>
        readFileSync(join(folder, "secrets", secret, String(version)), "utf8"),
      ),
    /** From now on, another person adds a version just before each of ours. */
    race: () => writeFileSync(join(folder, "race"), ""),
  };
}
