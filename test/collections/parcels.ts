import { z } from "zod";
import { dateTime, defineCollection, text } from "../../common/collection.ts";

/** Fields that hold values of any shape, and each kind of filter. */
export const parcels = defineCollection({
  name: "parcels",
  fields: {
    nick: text({ min: 2, max: 10 }),
    status: z.enum(["open", "sent"]),
    count: z.int().optional(),
    weight: z.number().optional(),
    dueAt: dateTime().optional(),
    address: z.object({ street: text({ max: 50 }), floor: z.int().optional() }).optional(),
    lines: z.array(z.object({ sku: text({ max: 20 }) })).optional(),
    labels: z.record(z.string(), z.unknown()).optional(),
  },
  filters: ["nick", "status", "count", "weight", "dueAt"],
  example: {
    nick: "Valpo",
    status: "open",
    count: 2,
    weight: 1.5,
    dueAt: "2026-03-01T09:30:00.000Z",
    address: { street: "Cerro Alegre", floor: 3 },
    lines: [{ sku: "a-1" }],
    labels: { fragile: true, sizes: [1, 2.5] },
  },
});
