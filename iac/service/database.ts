import { SqlDatabase } from "@cdktf/provider-google/lib/sql-database/index.js";
import { SqlUser } from "@cdktf/provider-google/lib/sql-user/index.js";
import type { TerraformStack } from "cdktf";
import { DATABASE_INSTANCE } from "../names.ts";
import type { Settings } from "../settings.ts";
import type { Password } from "./secrets.ts";

/** The database and its one user, as MYSQL_URL names them; the tables are migrations' work. */
export function createDatabaseUser(
  stack: TerraformStack,
  { database }: Settings,
  { value, version }: Password,
): void {
  new SqlDatabase(stack, "items", {
    name: database.database,
    instance: DATABASE_INSTANCE,
    charset: "utf8mb4",
    // Whatever becomes of the stack, nobody's items go with it.
    deletionPolicy: "ABANDON",
  });
  new SqlUser(stack, "user", {
    name: database.user,
    instance: DATABASE_INSTANCE,
    // Google's proxies connect from many addresses; others cannot connect at all.
    host: "%",
    passwordWo: value.stringValue,
    passwordWoVersion: version.numberValue,
  });
}
