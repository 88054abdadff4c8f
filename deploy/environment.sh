# Sets `project`, `region`, `delivery` and `instance` (of the database) of $environment. Source it in the repository's root.
settings=$(node --input-type=module -e 'import { findEnvironment } from "./iac/environments.ts";
  const { projectId, region, delivery } = findEnvironment(process.argv[1]);
  console.log(projectId, region, delivery);' "$environment")
read -r project region delivery <<< "$settings"
instance="$project:$region:latam-database"
