import { defineCollection, text } from "../../common/collection.ts";

/** What somebody has noted; everybody may read it. */
export const notes = defineCollection({
  name: "notes",
  owner: "user",
  fields: { text: text({ min: 1, max: 200 }) },
  example: { text: "Buy bread." },
});
