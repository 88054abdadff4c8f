import { SqlDatabase } from "@cdktf/provider-google/lib/sql-database/index.js";
import { SqlUser } from "@cdktf/provider-google/lib/sql-user/index.js";
import type { TerraformStack } from "cdktf";
import { getDatabaseInstance } from "../names.ts";
import type { Settings } from "../settings.ts";
import type { Password } from "./secrets.ts";

/** The database and its user, as MYSQL_URL names them. Migrations create the tables. */
export function createDatabase(
  stack: TerraformStack,
  { database, environment }: Settings,
  { value, version, kept }: Password,
): void {
  new SqlDatabase(stack, "items", {
    name: database.database,
    instance: getDatabaseInstance(environment),
    charset: "utf8mb4",
    // Destroying the stack keeps the database.
    deletionPolicy: "ABANDON",
  });
  new SqlUser(stack, "user", {
    name: database.user,
    instance: getDatabaseInstance(environment),
    // Google's proxies connect from many addresses; nothing else can connect.
    host: "%",
    passwordWo: value.stringValue,
    passwordWoVersion: version.numberValue,
    // First kept, then used: a deploy that ends in between finds this password, not another one.
    dependsOn: [kept],
  });
}
