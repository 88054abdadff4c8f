import { defineCollection, text } from "../../common/collection.ts";

/** What only who has written it may read, with a feed of changes. */
export const diaries = defineCollection({
  name: "diaries",
  owner: "author",
  reads: "owner",
  feed: true,
  fields: { text: text({ min: 1, max: 200 }) },
  example: { text: "It rained." },
});
