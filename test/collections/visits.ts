import { defineCollection, text } from "../../common/collection.ts";

/** Who came, with a feed of changes. */
export const visits = defineCollection({
  name: "visits",
  fields: { name: text({ min: 1, max: 200 }), room: text({ max: 20 }).optional() },
  filters: ["room"],
  feed: true,
  example: { name: "Gabriela", room: "12" },
});
