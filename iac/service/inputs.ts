import { Fn, Op, type TerraformStack, TerraformVariable } from "cdktf";

/** Shorter ones are typing errors, or can be guessed. */
const SHORTEST_SECRET = 16;

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
  variable.addValidation({
    condition: Op.gte(Fn.lengthOf(variable.stringValue), SHORTEST_SECRET),
    errorMessage: `It must have at least ${SHORTEST_SECRET} characters.`,
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
