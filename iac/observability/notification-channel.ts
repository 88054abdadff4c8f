import { MonitoringNotificationChannel } from "@cdktf/provider-google/lib/monitoring-notification-channel/index.js";
import { Fn, Op, TerraformCount, type TerraformStack, TerraformVariable, Token } from "cdktf";

/**
 * Whom the alerts tell: an e-mail address, given when the stack is applied, because it is nobody's
 * business who reads the code. Without one the alerts are there and tell nobody. Answers the names
 * of the channels: one or none.
 */
export function createNotificationChannel(stack: TerraformStack): string[] {
  const email = new TerraformVariable(stack, "alert_email", {
    type: "string",
    default: "",
    nullable: false,
    description: "Where alerts are sent; without it they notify nobody.",
  });
  email.addValidation({
    condition: Fn.can(Fn.regex("^([^@ ]+@[^@ ]+)?$", email.stringValue)),
    errorMessage: "It must be an e-mail address, or empty.",
  });
  const channel = new MonitoringNotificationChannel(stack, "email", {
    displayName: "constancia-alerts",
    type: "email",
    labels: { email_address: email.stringValue },
    count: TerraformCount.of(Fn.conditional(Op.gte(Fn.lengthOf(email.stringValue), 1), 1, 0)),
  });
  return Token.asList(`\${${channel.terraformResourceType}.${channel.friendlyUniqueId}[*].name}`);
}
