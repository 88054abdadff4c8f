import { ProjectIamMember } from "@cdktf/provider-google/lib/project-iam-member/index.js";
import type { TerraformStack } from "cdktf";
import { getIamMember } from "../names.ts";
import type { Settings } from "../settings.ts";
import type { Accounts } from "./accounts.ts";

/** To read which writes were accepted, and to write down what the audit found. */
const ROLES = ["roles/logging.viewer", "roles/logging.logWriter"];

/**
 * What the hourly audit may do (ops/audit-cloud.sh). It is no deployer: what runs by the clock, with
 * nobody asked, changes nothing. Its way to the database stands in database.ts, the password's in
 * secrets.ts, GitHub's in github.ts.
 */
export function grantAuditor(stack: TerraformStack, { environment }: Settings, accounts: Accounts) {
  for (const role of ROLES) {
    new ProjectIamMember(stack, `auditor-${role.split(".")[1]}`, {
      project: environment.projectId,
      role,
      member: getIamMember("auditor", environment.projectId),
      dependsOn: [accounts.auditor],
    });
  }
}
