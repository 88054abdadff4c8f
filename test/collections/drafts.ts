import { defineCollection, text } from "../../common/collection.ts";

/** What nobody but its author may read. */
export const drafts = defineCollection({
  name: "drafts",
  owner: "author",
  reads: "owner",
  fields: { text: text({ min: 1, max: 200 }), folder: text({ max: 50 }).optional() },
  filters: ["folder"],
  example: { text: "Once upon a time.", folder: "tales" },
});
