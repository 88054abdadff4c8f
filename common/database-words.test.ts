import assert from "node:assert/strict";
import { it } from "node:test";
import { describeDataError, hideDataError } from "./database-faults.ts";

it("tells clients which rule refused an item, without MySQL's sentence or its values", () => {
  const sentences: [sqlMessage: string, code: string, words: string][] = [
    [
      "Check constraint 'no_free_algebra' is violated.",
      "ER_CHECK_CONSTRAINT_VIOLATED",
      "it breaks the table's rule no_free_algebra.",
    ],
    [
      "CONSTRAINT `no_free_algebra` failed for `db`.`courses`",
      "UNKNOWN",
      "it breaks the table's rule no_free_algebra.",
    ],
    [
      "Duplicate entry 'secret' for key 'courses.title'",
      "ER_DUP_ENTRY",
      "it breaks the table's rule title.",
    ],
    [
      "Cannot add or update a child row: a foreign key constraint fails (`db`.`courses`," +
        " CONSTRAINT `taught_by` FOREIGN KEY (`teacher_id`) REFERENCES `teachers` (`id`))",
      "ER_NO_REFERENCED_ROW_2",
      "it breaks the table's rule taught_by.",
    ],
  ];
  for (const [sqlMessage, code, words] of sentences) {
    const reason = describeDataError(Object.assign(new Error("x"), { sqlMessage, code }));
    assert.ok(reason.includes(sqlMessage), "operators see it all");
    assert.equal(hideDataError(reason), `The database refused the item: ${words}`);
  }
  const other = { sqlMessage: "Data too long for column 'a'", code: "ER_DATA_TOO_LONG" };
  assert.equal(
    hideDataError(describeDataError(Object.assign(new Error("x"), other))),
    "The database refused the item (ER_DATA_TOO_LONG).",
  );
  assert.equal(hideDataError("The data is not JSON in UTF-8."), "The data is not JSON in UTF-8.");
});
