import { data } from "./data.ts";

/** Every collection that the API serves and the subscriber settles. */
export const collections = [data];
