import { findStringEnd, QUOTE } from "../../common/json.ts";

/** The characters that JSON is structured by, beside the quote. */
const [COMMA, OPEN, CLOSE, OPEN_OBJECT, CLOSE_OBJECT] = [0x2c, 0x5b, 0x5d, 0x7b, 0x7d];

/** Whether a JSON text is an array, if it is valid. */
export function isArrayText(text: string): boolean {
  return /^[ \t\r\n]*\[/.test(text);
}

/**
 * Splits the text of a JSON array into the texts of its elements, so that they can be parsed one at a
 * time: parsed, an array of 4 MB may have 90. An element that is not valid JSON is handed over as it
 * is; where what encloses them is not valid, one that is empty comes last.
 */
export function* splitArray(text: string): Generator<string> {
  let start = text.indexOf("[") + 1;
  for (let isFirst = true; ; isFirst = false) {
    const end = findElementEnd(text, start);
    const element = text.slice(start, end);
    const isLast = text.charCodeAt(end) !== COMMA;
    const isClosed = !isLast || /^\][ \t\r\n]*$/.test(text.slice(end));
    const isEmptyArray = isFirst && isLast && /^[ \t\r\n]*$/.test(element);
    if (!(isEmptyArray && isClosed)) yield element;
    if (!isClosed) yield "";
    if (isLast) return;
    start = end + 1;
  }
}

/** The index of the comma or bracket that ends the element which begins at `start`. */
function findElementEnd(text: string, start: number): number {
  let depth = 0;
  for (let index = start; index < text.length; index += 1) {
    const character = text.charCodeAt(index);
    if (character === QUOTE) index = findStringEnd(text, index);
    else if (character === OPEN || character === OPEN_OBJECT) depth += 1;
    else if (depth > 0) depth -= character === CLOSE || character === CLOSE_OBJECT ? 1 : 0;
    else if (character === COMMA || character === CLOSE) return index;
  }
  return text.length;
}
