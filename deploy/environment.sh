# Sourced at the project's root: the project and the database's instance of $environment.
describe() {
  node --input-type=module -e 'import { findEnvironment } from "./iac/environments.ts";
    const { projectId, region } = findEnvironment(process.argv[1]);
    console.log(process.argv[2] === "region" ? region : projectId);' "$environment" "$1"
}
project=$(describe project)
instance="$project:$(describe region):latam-database"
