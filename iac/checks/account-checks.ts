import {
  formatPlace,
  listResources,
  type Resource,
  STACKS,
  type Stacks,
} from "../terraform-json.ts";

/** A service account of this project's, by its e-mail address. Google's own agents have other domains. */
const EMAILS = /[a-z][a-z0-9-]*@[a-z][a-z0-9-]*\.iam\.gserviceaccount\.com/g;
/** App Engine's default account, which exists once the application does. */
const DEFAULT_ACCOUNT = "@appspot.gserviceaccount.com";
/** An account that a grant refers to: `${google_service_account.ID.member}`. */
const REFERENCE = /\$\{(google_service_account\.[\w-]+)\.\w+\}/g;

/**
 * Google refuses a grant to an account that does not exist, and Terraform creates what does not
 * depend on each other at the same time. So whatever names one of our accounts must refer to it, depend
 * on it, or be in a stack that is applied after the account's.
 */
export function checkAccounts(stacks: Stacks): string[] {
  const accounts = listResources(stacks, "google_service_account");
  const applications = listResources(stacks, "google_app_engine_application");
  return listResources(stacks).flatMap((resource) => {
    if (resource.type === "google_service_account") return [];
    const text = JSON.stringify(resource.properties);
    const owners = text.includes(DEFAULT_ACCOUNT) ? applications.slice(0, 1) : [];
    const named = [...new Set(text.match(EMAILS))];
    const unknown = named.filter((email) => !accounts.some((one) => isOf(one, email)));
    const needed = [
      ...owners,
      ...accounts.filter((one) => named.some((email) => isOf(one, email))),
    ];
    return [
      ...unknown.map(
        (email) => `${formatPlace(resource)}: names ${email}, which no stack creates.`,
      ),
      ...needed
        .filter((one) => !isCreatedBefore(one, resource))
        .map(
          ({ address }) =>
            `${formatPlace(resource)}: does not depend on ${address}, which it names.`,
        ),
    ];
  });
}

function isOf({ properties }: Resource, email: string): boolean {
  return email.startsWith(`${properties.account_id}@`);
}

/** Whether Terraform has created `one` when it begins with `other`. */
function isCreatedBefore(one: Resource, other: Resource): boolean {
  if (one.stack !== other.stack) return STACKS.indexOf(one.stack) < STACKS.indexOf(other.stack);
  const dependsOn = (other.properties.depends_on ?? []) as string[];
  const referred = JSON.stringify(other.properties).matchAll(REFERENCE);
  return [...dependsOn, ...[...referred].map(([, address]) => address)].includes(one.address);
}
