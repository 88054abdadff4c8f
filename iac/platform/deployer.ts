import { ProjectIamCustomRole } from "@cdktf/provider-google/lib/project-iam-custom-role/index.js";
import { ProjectIamMember } from "@cdktf/provider-google/lib/project-iam-member/index.js";
import type { TerraformStack } from "cdktf";
import { DEPLOYER_ROLE } from "../names.ts";
import type { Settings } from "../settings.ts";
import type { Accounts } from "./accounts.ts";

/** To deploy and delete versions, move traffic, build, and read logs and metrics of a canary. */
const ROLES = [
  "roles/appengine.deployer",
  "roles/appengine.serviceAdmin",
  "roles/cloudbuild.builds.editor",
  "roles/logging.viewer",
  "roles/monitoring.viewer",
];

/** The kinds of resources in the stack `observability`. */
const OBSERVABILITY_RESOURCES = [
  "logging.logMetrics",
  "monitoring.alertPolicies",
  "monitoring.dashboards",
  "monitoring.notificationChannels",
  "monitoring.services",
  "monitoring.slos",
  "monitoring.uptimeCheckConfigs",
];

/**
 * To apply the stacks `service` and `observability` and to migrate. Google's predefined roles that
 * can set IAM policies can also delete. These permissions delete nothing but jobs of the cron, which
 * gcloud replaces where cron.yaml has changed, so no deploy can remove a topic, a subscription, a
 * database or an alert.
 */
const PERMISSIONS = [
  ...permissions("cloudsql.instances", ["connect", "get"]),
  ...permissions("cloudsql.databases", ["create", "get", "list"]),
  ...permissions("cloudsql.users", ["create", "get", "list", "update"]),
  ...permissions("pubsub.topics", [
    "attachSubscription",
    "create",
    "get",
    "getIamPolicy",
    "list",
    "setIamPolicy",
    "update",
  ]),
  ...permissions("pubsub.subscriptions", [
    "create",
    "get",
    "getIamPolicy",
    "list",
    "setIamPolicy",
    "update",
  ]),
  ...permissions("secretmanager.secrets", [
    "create",
    "get",
    "getIamPolicy",
    "list",
    "setIamPolicy",
    "update",
  ]),
  ...permissions("secretmanager.versions", ["access", "add", "disable", "enable", "get", "list"]),
  ...OBSERVABILITY_RESOURCES.flatMap((resource) =>
    permissions(resource, ["create", "get", "list", "update"]),
  ),
  ...permissions("cloudscheduler.jobs", ["create", "delete", "fullView", "get", "list"]),
  ...permissions("cloudscheduler.locations", ["get", "list"]),
  "resourcemanager.projects.get",
];
const ANALYTICS_PERMISSIONS = [
  ...permissions("bigquery.datasets", ["create", "get", "getIamPolicy", "setIamPolicy", "update"]),
  ...permissions("bigquery.tables", ["create", "get", "update"]),
];

/** The deployer's roles on the project. Its grants on one resource are beside the resource. */
export function grantDeployer(
  stack: TerraformStack,
  { environment }: Settings,
  accounts: Accounts,
): void {
  const { projectId, delivery, analytics } = environment;
  const role = new ProjectIamCustomRole(stack, "deployer-role", {
    roleId: DEPLOYER_ROLE,
    title: "Constancia deployer",
    description:
      "Applies the stacks `service` and `observability`, and migrates; deletes nothing but cron jobs",
    permissions: [...PERMISSIONS, ...(analytics ? ANALYTICS_PERMISSIONS : [])],
  });
  const roles = [...ROLES, ...(delivery === "worker-pool" ? ["roles/run.developer"] : [])];
  const grant = (id: string, name: string) =>
    new ProjectIamMember(stack, id, {
      project: projectId,
      role: name,
      member: accounts.deployer.member,
    });
  grant("deployer-custom", role.name);
  for (const name of roles)
    grant(`deployer-${name.replace("roles/", "").replaceAll(".", "-")}`, name);
}

function permissions(resource: string, verbs: readonly string[]): string[] {
  return verbs.map((verb) => `${resource}.${verb}`);
}
