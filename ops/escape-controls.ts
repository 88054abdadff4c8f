/** Escapes control characters in text from outside, so that it cannot control the terminal. */
export function escapeControls(text: string): string {
  return text.replace(
    /[[\p{Cc}\p{Bidi_Control}]--[\n]]/gv,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
