/** Text from outside, fit for a terminal: what would steer it is shown as its code instead. */
export function escapeControls(text: string): string {
  return text.replace(
    /[[\p{Cc}\p{Bidi_Control}]--[\n]]/gv,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
