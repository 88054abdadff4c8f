import { z } from "zod";
import { defineCollection } from "../../common/collection.ts";

/** Items of any size up to the largest. */
export const documents = defineCollection({
  name: "documents",
  fields: { content: z.array(z.unknown()) },
  example: { content: ["any", 1, { value: true }] },
});
