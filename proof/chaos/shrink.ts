/** Runs at most; a try that does not fail may only have been lucky, so each counts double. */
const MOST_TRIES = 16;
const TRIES_EACH = 2;

/**
 * Looks for a shorter list of events that still fails: halves first, then each alone left out.
 * Returns the places of those that remain.
 */
export async function shrink(
  places: readonly number[],
  fails: (places: readonly number[]) => Promise<boolean>,
): Promise<readonly number[]> {
  let tries = 0;
  let shortest = places;
  for (
    let size = Math.ceil(places.length / 2);
    size >= 1;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let from = 0; from < shortest.length && tries < MOST_TRIES; ) {
      const candidate = [...shortest.slice(0, from), ...shortest.slice(from + size)];
      let isFailing = false;
      for (let each = 0; each < TRIES_EACH && !isFailing && tries < MOST_TRIES; each += 1) {
        tries += 1;
        isFailing = await fails(candidate);
      }
      console.log(
        `  ${isFailing ? "fails" : "holds"} with ${candidate.length} of ${places.length} events: ${candidate.join(",") || "none"}`,
      );
      if (isFailing) shortest = candidate;
      else from += size;
    }
  }
  return shortest;
}
