import { App, type TerraformStack } from "cdktf";
import { checkSettings, UnsafeSettingsError } from "./checks/settings-checks.ts";
import { checkStacks } from "./checks/stack-checks.ts";
import { createObservability } from "./observability/observability.ts";
import { createPlatform } from "./platform/platform.ts";
import { createService } from "./service/service.ts";
import { createWorkerPool } from "./service/worker-pool.ts";
import type { Settings } from "./settings.ts";
import { type Config, STACKS, type Stacks } from "./terraform-json.ts";

/** The text of each stack's Terraform file, by the stack's name; none of a stack without resources. */
export type Synthesised = Partial<Record<keyof Stacks, string>>;

/**
 * Builds the stacks and checks the settings and the result. Throws one {@link UnsafeSettingsError}
 * with a sentence for each fault.
 */
export function synthesise(settings: Settings): Synthesised {
  const stacks = synthesiseUnchecked(settings);
  const faults = [...checkSettings(settings), ...checkStacks(stacks, settings)];
  if (faults.length > 0) throw new UnsafeSettingsError(faults);
  const entries = STACKS.filter((name) => stacks[name].resource).map((name) => [
    name,
    toText(stacks[name]),
  ]);
  return Object.fromEntries(entries);
}

/** The stacks in Terraform's JSON, without the checks. */
export function synthesiseUnchecked(settings: Settings): Stacks {
  const app = new App();
  const platform = createPlatform(app, settings);
  const service = createService(app, settings);
  const workerPool = createWorkerPool(app, settings);
  const observability = createObservability(app, settings);
  return {
    platform: toConfig(platform),
    service: toConfig(service),
    "worker-pool": toConfig(workerPool),
    observability: toConfig(observability),
  };
}

/** Removes CDKTF's comments, which contain its version. */
function toConfig(stack: TerraformStack): Config {
  stack.prepareStack();
  return JSON.parse(
    JSON.stringify(stack.toTerraform(), (key, value) => (key === "//" ? undefined : value)),
  );
}

function toText(config: Config): string {
  return `${JSON.stringify(config, undefined, 2)}\n`;
}
