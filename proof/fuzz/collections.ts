import { data } from "../../collections/data.ts";
import { courses } from "../../test/collections/courses.ts";
import { parcels } from "../../test/collections/parcels.ts";
import { teachers } from "../../test/collections/teachers.ts";

/** The project's collection, and three of the tests', which have a field of each kind. */
export const FUZZED_COLLECTIONS = [data, teachers, courses, parcels];
