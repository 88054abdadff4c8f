import { type TerraformStack, TerraformVariable } from "cdktf";

/** A secret that whoever applies gives as TF_VAR_name; neither a plan nor the state holds it. */
export function createSecretInput(
  stack: TerraformStack,
  name: string,
  description: string,
): TerraformVariable {
  const variable = new TerraformVariable(stack, name, {
    type: "string",
    description,
    sensitive: true,
    nullable: false,
  });
  variable.addOverride("ephemeral", true);
  return variable;
}

/** Terraform cannot see that a write-only value has changed: a higher number says so. */
export function createVersionInput(stack: TerraformStack, of: string): TerraformVariable {
  return new TerraformVariable(stack, `${of}_version`, {
    type: "number",
    default: 1,
    description: `Raise it by one to have ${of} written again.`,
  });
}
