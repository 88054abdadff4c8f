import { type ParseArgsConfig, parseArgs } from "node:util";

/** A command was called wrongly. Its message is a sentence; the exit status is 2. */
export class UsageError extends Error {}

/** Node's `parseArgs`, whose refusals are {@link UsageError}s. */
export function parseOptions<Config extends ParseArgsConfig>(
  config: Config,
): ReturnType<typeof parseArgs<Config>> {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** The whole number of `--option`, from `min` to `max`, both included. */
export function readInteger(
  option: string,
  text: string,
  { min = 1, max = Number.MAX_SAFE_INTEGER }: { min?: number; max?: number } = {},
): number {
  const value = Number(text);
  if (/^-?\d+$/.test(text) && value >= min && value <= max) return value;
  const bounds = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  throw new UsageError(`--${option} must be a whole number ${bounds}, not "${text}".`);
}

/** The number of `--option`, from `min` to `max`, both included. */
export function readNumber(
  option: string,
  text: string,
  { min, max }: { min: number; max: number },
): number {
  const value = Number(text);
  if (/^-?\d+(\.\d+)?$/.test(text) && value >= min && value <= max) return value;
  throw new UsageError(`--${option} must be a number from ${min} to ${max}, not "${text}".`);
}

/** The value of `--option` where it is one of `choices`. */
export function readChoice<Choice extends string>(
  option: string,
  text: string,
  choices: readonly Choice[],
): Choice {
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw new UsageError(`--${option} must be ${choices.join(" or ")}, not "${text}".`);
}
