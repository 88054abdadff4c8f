import { numberSchemas } from "../common/schema-numbers.ts";
import { data } from "./data.ts";
import numbers from "./schemas.json" with { type: "json" };

/** Every collection that the API serves and the subscriber settles. */
export const collections = numberSchemas([data], numbers);
