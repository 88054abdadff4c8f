/** A replacement of a source's text from `start` up to `end`, as string indexes. */
export type Change = { start: number; end: number; code: string };

/** The source with one change. */
export function applyMutant(source: string, { start, end, code }: Change): string {
  return source.slice(0, start) + code + source.slice(end);
}
