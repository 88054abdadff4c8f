import { AppEngineServiceNetworkSettings } from "@cdktf/provider-google/lib/app-engine-service-network-settings/index.js";
import { Fn, TerraformCount, type TerraformStack, TerraformVariable } from "cdktf";
import type { Settings } from "../settings.ts";

/**
 * Which traffic the App Engine services take: all, because the API is public, and because Pub/Sub's
 * pushes do not count as internal. Who may push is decided by the token. How traffic is split
 * between versions belongs to the rollout: what two programs set, each takes back.
 *
 * A service exists once its first version does, so the first apply of all leaves this out.
 */
export function createAppEngineServices(
  stack: TerraformStack,
  { environment, api, subscriber }: Settings,
): void {
  const areDeployed = new TerraformVariable(stack, "services_deployed", {
    type: "bool",
    default: true,
    description: "Whether the App Engine services exist: false for the first apply of all.",
  });
  const services = environment.delivery === "push" ? [api, subscriber] : [api];
  for (const { service } of services) {
    new AppEngineServiceNetworkSettings(stack, `ingress-${service}`, {
      service,
      networkSettings: { ingressTrafficAllowed: "INGRESS_TRAFFIC_ALLOWED_ALL" },
      count: TerraformCount.of(Fn.conditional(areDeployed.booleanValue, 1, 0)),
    });
  }
}
