import { z } from "zod";

/** Whether the schema takes what was sent for something else, in any of its parts. */
export function convertsValues(schema: z.ZodType): boolean {
  let isFound = false;
  const override = ({ zodSchema }: { zodSchema: z.core.$ZodType }) => {
    const { def } = (zodSchema as z.core.$ZodTypes)._zod;
    isFound ||= def.type === "catch" || ("coerce" in def && def.coerce === true);
    // This is what preprocess() makes.
    isFound ||= def.type === "pipe" && def.in._zod.def.type === "transform";
  };
  for (const io of ["input", "output"] as const)
    z.toJSONSchema(schema, { io, unrepresentable: "any", override });
  return isFound;
}

/** Undefined for a type that JSON lacks; as `output`, also for a schema that transforms a value. */
export function toJsonSchema(
  schema: z.ZodType,
  io: "input" | "output",
): z.core.JSONSchema.BaseSchema | undefined {
  const refuseCodec = ({ zodSchema }: { zodSchema: z.core.$ZodType }) => {
    if (io === "output" && zodSchema instanceof z.core.$ZodCodec) throw new TypeError("a codec");
  };
  try {
    return z.toJSONSchema(schema, { io, override: refuseCodec });
  } catch {
    return undefined;
  }
}
