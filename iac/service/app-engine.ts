import { AppEngineServiceNetworkSettings } from "@cdktf/provider-google/lib/app-engine-service-network-settings/index.js";
import { Fn, TerraformCount, type TerraformStack, TerraformVariable } from "cdktf";
import type { Settings } from "../settings.ts";

/**
 * The App Engine services accept traffic from everywhere: the API is public, and Pub/Sub's pushes do
 * not count as internal traffic. A push is authenticated by its token. The split of traffic between
 * versions belongs to the rollout and is not set here.
 *
 * App Engine creates a service with its first version, so the very first apply skips these settings.
 */
export function createAppEngineServices(
  stack: TerraformStack,
  { environment, api, subscriber }: Settings,
): void {
  const areDeployed = new TerraformVariable(stack, "services_deployed", {
    type: "bool",
    default: true,
    description: "Whether the App Engine services exist; false for the very first apply.",
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
