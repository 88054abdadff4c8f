import { dateTime, defineCollection, text } from "../../common/collection.ts";

/** What is held for a while by whoever takes it, with a feed of changes. */
export const lockers = defineCollection({
  name: "lockers",
  owner: "user",
  fields: { note: text({ max: 64 }), heldUntil: dateTime().optional() },
  expires: { field: "heldUntil", most: "PT5M" },
  feed: true,
  example: { note: "Red suitcase." },
});
