import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { synthesiseUnchecked } from "../synth.ts";
import type { Properties, Stacks } from "../terraform-json.ts";
import { EVERYTHING, settingsWith } from "../testing.ts";
import { checkAccounts } from "./account-checks.ts";

const SYNTHESISED = [{}, EVERYTHING].map((environment) =>
  synthesiseUnchecked(settingsWith({ environment })),
);
const EMAIL = "constancia-deployer@some-project.iam.gserviceaccount.com";
const ACCOUNT = "google_service_account.deployer";

describe("synth refuses among the service accounts", () => {
  /** The faults after a grant was added to a stack. */
  function faultsWith(stack: keyof Stacks, grant: Properties): string[] {
    const stacks = structuredClone(SYNTHESISED[0] as Stacks);
    const { resource = {} } = stacks[stack];
    resource.google_storage_bucket_iam_member = {
      ...resource.google_storage_bucket_iam_member,
      added: { bucket: "some-bucket", role: "roles/storage.objectViewer", ...grant },
    };
    return checkAccounts(stacks);
  }
  const PLACE = "iac/platform, google_storage_bucket_iam_member.added";

  it("nothing of the stacks as they are", () => {
    for (const stacks of SYNTHESISED) assert.deepEqual(checkAccounts(stacks), []);
  });

  it("a grant that Terraform may make before its account", () => {
    const member = `serviceAccount:${EMAIL}`;
    const fault = [`${PLACE}: does not depend on ${ACCOUNT}, which it names.`];
    assert.deepEqual(faultsWith("platform", { member }), fault);
    assert.deepEqual(faultsWith("platform", { member, depends_on: [`${ACCOUNT}-2`] }), fault);
    assert.deepEqual(faultsWith("platform", { member, depends_on: [ACCOUNT] }), []);
    assert.deepEqual(faultsWith("platform", { member: `\${${ACCOUNT}.member}` }), []);
    // The stacks are applied one after another.
    assert.deepEqual(faultsWith("service", { member }), []);
  });

  it("a resource that runs as an account, wherever it names it", () => {
    const nested = { template: [{ service_account: EMAIL }] };
    assert.match(String(faultsWith("platform", nested)), /does not depend on/);
  });

  it("an account that no stack creates", () => {
    const member = "serviceAccount:constancia-auditing@some-project.iam.gserviceaccount.com";
    assert.deepEqual(faultsWith("service", { member }), [
      "iac/service, google_storage_bucket_iam_member.added: names" +
        " constancia-auditing@some-project.iam.gserviceaccount.com, which no stack creates.",
    ]);
  });

  it("App Engine's account before there is an application", () => {
    const member = "serviceAccount:some-project@appspot.gserviceaccount.com";
    const application = "google_app_engine_application.application";
    assert.deepEqual(faultsWith("platform", { member }), [
      `${PLACE}: does not depend on ${application}, which it names.`,
    ]);
    assert.deepEqual(faultsWith("platform", { member, depends_on: [application] }), []);
  });
});
