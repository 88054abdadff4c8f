import { defineCollection, text } from "../common/collection.ts";

/** The tema. */
export const data = defineCollection({
  name: "data",
  fields: { nombre: text({ min: 1, max: 255 }) },
  example: { nombre: "Valpo" },
});
