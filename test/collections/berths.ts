import { dateTime, defineCollection, text } from "../../common/collection.ts";

/** What is held for a while by whoever takes it, and is nobody's after that. */
export const berths = defineCollection({
  name: "berths",
  owner: "user",
  fields: { note: text({ max: 64 }), heldUntil: dateTime().optional() },
  expires: { field: "heldUntil", most: "PT5M" },
  example: { note: "By the window." },
});

/** The same, which only its owner may read. */
export const cabins = defineCollection({
  name: "cabins",
  owner: "user",
  reads: "owner",
  fields: { note: text({ max: 64 }), heldUntil: dateTime().optional() },
  expires: { field: "heldUntil", most: "PT5M" },
  example: { note: "By the window." },
});
