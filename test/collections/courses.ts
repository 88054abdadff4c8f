import { z } from "zod";
import { dateTime, defineCollection, text } from "../../common/collection.ts";

/** One field of each kind. */
export const coursesFields = {
  title: text({ min: 1, max: 200 }),
  teacherId: text({ min: 1, max: 64 }),
  credits: z.int().min(0).max(1_000_000_000_000),
  price: z.number(),
  active: z.boolean(),
  startsAt: dateTime(),
  tags: z.array(text({ max: 50 })).max(20),
  note: text({ max: 500 }).optional(),
};

/** What is taught. */
export const courses = defineCollection({
  name: "courses",
  fields: coursesFields,
  filters: ["teacherId"],
  example: {
    title: "Algebra",
    teacherId: "gabriela",
    credits: 6,
    price: 19.99,
    active: true,
    startsAt: "2026-03-01T09:30:00.000Z",
    tags: ["maths", "first year"],
  },
});
