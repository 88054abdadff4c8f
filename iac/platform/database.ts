import { ProjectIamMember } from "@cdktf/provider-google/lib/project-iam-member/index.js";
import { SqlDatabaseInstance } from "@cdktf/provider-google/lib/sql-database-instance/index.js";
import type { TerraformStack } from "cdktf";
import { DATABASE_INSTANCE, getIamMember } from "../names.ts";
import type { Settings } from "../settings.ts";

/** The disk grows by itself from 10 GB; what passes this, somebody should look at. */
export const LARGEST_DISK_GB = 320;
const KEPT_BACKUPS = 14;
/** The longest that Cloud SQL's Enterprise edition keeps them: any second of a week can be had. */
const BINARY_LOG_DAYS = 7;
/** 06:00 UTC is the depth of the night in Latin America. */
const NIGHT_HOUR_UTC = 6;
const SUNDAY = 7;

/** The MySQL instance, and who may connect to it. */
export function createDatabase(stack: TerraformStack, settings: Settings): void {
  const { environment } = settings;
  const instance = new SqlDatabaseInstance(stack, "database", {
    name: DATABASE_INSTANCE,
    databaseVersion: "MYSQL_8_4",
    region: environment.region,
    deletionProtection: true,
    settings: {
      tier: environment.tier,
      // Named, because the default may be Enterprise Plus, which has no small machines.
      edition: "ENTERPRISE",
      availabilityType: environment.availability,
      deletionProtectionEnabled: true,
      diskType: "PD_SSD",
      diskAutoresize: true,
      diskAutoresizeLimit: LARGEST_DISK_GB,
      // Nobody connects past Google's own proxies and connectors, whatever else is allowed.
      connectorEnforcement: "REQUIRED",
      ipConfiguration: {
        // App Engine's socket goes to the public address; no network is let in to it.
        ipv4Enabled: true,
        sslMode: "ENCRYPTED_ONLY",
        // The only one that App Engine standard can connect with.
        serverCaMode: "GOOGLE_MANAGED_INTERNAL_CA",
      },
      backupConfiguration: {
        enabled: true,
        startTime: `0${NIGHT_HOUR_UTC}:00`,
        // MySQL's way to any point in time; `pointInTimeRecoveryEnabled` is for the other engines.
        binaryLogEnabled: true,
        transactionLogRetentionDays: BINARY_LOG_DAYS,
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
      member: getIamMember(account, environment.projectId),
      // An instance takes no grants of its own; a condition does the same.
      condition: {
        title: `only-${DATABASE_INSTANCE}`,
        expression:
          `resource.name == "projects/${environment.projectId}/instances/${DATABASE_INSTANCE}"` +
          ` && resource.type == "sqladmin.googleapis.com/Instance"`,
      },
      dependsOn: [instance],
    });
  }
}
