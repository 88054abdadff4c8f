import { dateTime, defineCollection, text } from "../../common/collection.ts";

/** What is held for a while, by whoever takes it first. */
export const seats = defineCollection({
  name: "seats",
  fields: { passenger: text({ min: 1, max: 64 }), heldUntil: dateTime().optional() },
  filters: ["passenger"],
  expires: { field: "heldUntil", most: "PT5M" },
  example: { passenger: "Gabriela" },
});

/** The same, whose changes are told in the order of their commits. */
export const sleepers = defineCollection({
  name: "sleepers",
  feed: true,
  fields: { passenger: text({ min: 1, max: 64 }), heldUntil: dateTime().optional() },
  expires: { field: "heldUntil", most: "PT5M" },
  example: { passenger: "Gabriela" },
});
