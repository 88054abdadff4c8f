import { App, type TerraformStack } from "cdktf";
import { checkSettings, Refusal } from "./checks/settings-checks.ts";
import { checkStacks } from "./checks/stack-checks.ts";
import { createObservability } from "./observability/observability.ts";
import { createPlatform } from "./platform/platform.ts";
import { createService } from "./service/service.ts";
import type { Settings } from "./settings.ts";
import type { Config, Stacks } from "./terraform-json.ts";

/** The text of each stack's Terraform file, by the stack's name. */
export type Synthesised = Record<keyof Stacks, string>;

/**
 * Makes the stacks and checks them, settings and result, before anybody can apply them. Throws
 * one Refusal with a sentence for each thing that is unsafe.
 */
export function synthesise(settings: Settings): Synthesised {
  const stacks = synthesiseUnchecked(settings);
  const faults = [...checkSettings(settings), ...checkStacks(stacks, settings)];
  if (faults.length > 0) throw new Refusal(faults);
  return {
    platform: toText(stacks.platform),
    service: toText(stacks.service),
    observability: toText(stacks.observability),
  };
}

/** The stacks as Terraform's JSON, unsafe or not. */
export function synthesiseUnchecked(settings: Settings): Stacks {
  const app = new App();
  const platform = createPlatform(app, settings);
  const service = createService(app, settings);
  const observability = createObservability(app, settings);
  return {
    platform: toConfig(platform),
    service: toConfig(service),
    observability: toConfig(observability),
  };
}

/** Without the comments of CDKTF, which name its version and would differ between two of them. */
function toConfig(stack: TerraformStack): Config {
  stack.prepareStack();
  return JSON.parse(
    JSON.stringify(stack.toTerraform(), (key, value) => (key === "//" ? undefined : value)),
  );
}

function toText(config: Config): string {
  return `${JSON.stringify(config, undefined, 2)}\n`;
}
