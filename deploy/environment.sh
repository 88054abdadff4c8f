# Sets `project` and `instance` (of the database) of $environment. Source it in the repository's root.
settings=$(node --input-type=module -e 'import { findEnvironment } from "./iac/environments.ts";
  const { projectId, region } = findEnvironment(process.argv[1]);
  console.log(projectId, region);' "$environment")
project=${settings% *}
instance="$project:${settings#* }:latam-database"
