import { z } from "zod";
import { defineCollection, text } from "../../common/collection.ts";

/** Fields whose names SQL reserves. */
export const standings = defineCollection({
  name: "standings",
  fields: { group: text({ min: 2, max: 50 }), rank: z.int().min(1).max(100) },
  filters: ["group", "rank"],
  example: { group: "first", rank: 1 },
});
