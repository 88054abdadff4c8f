import { data } from "../../collections/data.ts";
import { courses } from "../../test/collections/courses.ts";
import { parcels } from "../../test/collections/parcels.ts";
import { teachers } from "../../test/collections/teachers.ts";
import { visits } from "../../test/collections/visits.ts";

/** The project's collection, and four of the tests', which have a field of each kind and a feed. */
export const FUZZED_COLLECTIONS = [data, teachers, courses, parcels, visits];
