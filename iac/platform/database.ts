import { ProjectIamMember } from "@cdktf/provider-google/lib/project-iam-member/index.js";
import { SqlDatabaseInstance } from "@cdktf/provider-google/lib/sql-database-instance/index.js";
import type { TerraformStack } from "cdktf";
import { RESTORE_DAYS } from "../../common/limits.ts";
import { getDatabaseInstance } from "../names.ts";
import type { Settings } from "../settings.ts";
import type { Accounts } from "./accounts.ts";

/** The disk grows automatically from 10 GB up to this size. */
export const LARGEST_DISK_GB = 320;
const KEPT_BACKUPS = 14;
/** 06:00 UTC is between midnight and 03:00 in most of Latin America. */
const NIGHT_HOUR_UTC = 6;
const SUNDAY = 7;

/** The MySQL instance, and who may connect to it. */
export function createDatabase(
  stack: TerraformStack,
  { environment }: Settings,
  accounts: Accounts,
): void {
  const instance = new SqlDatabaseInstance(stack, "database", {
    name: getDatabaseInstance(environment),
    databaseVersion: "MYSQL_8_4",
    region: environment.region,
    deletionProtection: true,
    settings: {
      tier: environment.tier,
      // Explicit: the default may be Enterprise Plus, which has no small tiers.
      edition: "ENTERPRISE",
      availabilityType: environment.availability,
      deletionProtectionEnabled: true,
      diskType: "PD_SSD",
      diskAutoresize: true,
      diskAutoresizeLimit: LARGEST_DISK_GB,
      // Only Google's proxies and connectors may connect.
      connectorEnforcement: "REQUIRED",
      ipConfiguration: {
        // App Engine's socket needs the public address; no network is authorised to use it.
        ipv4Enabled: true,
        sslMode: "ENCRYPTED_ONLY",
        // The only mode that App Engine standard supports.
        serverCaMode: "GOOGLE_MANAGED_INTERNAL_CA",
      },
      backupConfiguration: {
        enabled: true,
        startTime: `0${NIGHT_HOUR_UTC}:00`,
        // Point-in-time recovery of MySQL; `pointInTimeRecoveryEnabled` is for PostgreSQL.
        binaryLogEnabled: true,
        // At most seven days in the Enterprise edition.
        transactionLogRetentionDays: RESTORE_DAYS,
        backupRetentionSettings: { retainedBackups: KEPT_BACKUPS, retentionUnit: "COUNT" },
      },
      insightsConfig: {
        queryInsightsEnabled: true,
        recordApplicationTags: false,
        recordClientAddress: false,
      },
      maintenanceWindow: { day: SUNDAY, hour: NIGHT_HOUR_UTC + 1, updateTrack: "stable" },
    },
  });

  for (const account of ["api", "subscriber", "auditor"] as const) {
    new ProjectIamMember(stack, `database-${account}`, {
      project: environment.projectId,
      role: "roles/cloudsql.client",
      member: accounts[account].member,
      // IAM has no grants on one instance; a condition on the project does the same.
      condition: {
        title: `only-${getDatabaseInstance(environment)}`,
        expression:
          `resource.name == "projects/${environment.projectId}/instances/${getDatabaseInstance(environment)}"` +
          ` && resource.type == "sqladmin.googleapis.com/Instance"`,
      },
      dependsOn: [instance],
    });
  }
}
