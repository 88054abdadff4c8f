import { defineCollection, text } from "../../common/collection.ts";

/** Who teaches. */
export const teachers = defineCollection({
  name: "teachers",
  fields: { name: text({ min: 1, max: 200 }) },
  example: { name: "Gabriela" },
});
