# Sets `project`, `region`, `delivery`, `instance` (of the database) and `builder`, the account that may
# build versions, of $environment. Source it in the repository's root.
settings=$(node --input-type=module -e 'import { findEnvironment } from "./iac/environments.ts";
  import { getBuildAccount, getDatabaseInstance } from "./iac/names.ts";
  const environment = findEnvironment(process.argv[1]);
  const { projectId, region, delivery } = environment;
  const instance = `${projectId}:${region}:${getDatabaseInstance(environment)}`;
  console.log(projectId, region, instance, delivery, getBuildAccount(environment));' "$environment")
read -r project region instance delivery builder <<< "$settings"
