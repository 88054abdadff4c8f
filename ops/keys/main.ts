import { findEnvironment } from "../../iac/environments.ts";
import { API_KEYS_SECRET, ROLLOUT_KEY_SECRET } from "../../iac/names.ts";
import { getSecret, readSettings } from "../../iac/settings.ts";
import { parseOptions, UsageError } from "../command-line.ts";
import { type Program, runMain, type Terminal } from "../terminal.ts";
import {
  addLine,
  findNewest,
  formatLines,
  hashKey,
  type KeyLine,
  makeKey,
  parseLines,
  removeLines,
  retireLines,
  rotateLine,
} from "./key-lines.ts";
import { SecretStore } from "./secret-store.ts";

const HELP = `Creates, rotates and removes the API keys of an environment on Google Cloud.

Usage:
  npm run ops -- keys ENVIRONMENT list
  npm run ops -- keys ENVIRONMENT create NAME SCOPE...   prints a new key, which is stored nowhere
  npm run ops -- keys ENVIRONMENT rotate NAME   prints another key with the same scopes; the newest
                                                one until now stays valid until the next rotate
  npm run ops -- keys ENVIRONMENT retire NAME   from now on only the newest key of that name is valid
  npm run ops -- keys ENVIRONMENT remove NAME   from now on no key of that name is valid
  npm run ops -- keys ENVIRONMENT rollout       prints the key of the deploys, and creates it if there
                                                is none; nothing, if app.yaml requires no keys

The secret ${API_KEYS_SECRET} has the hashes; app.yaml names it in API_KEYS_SECRET. Instances take a new
key at once, and refuse a removed one after a minute, or when they are next called. The deploys' key
has the name "rollout" and is stored in ${ROLLOUT_KEY_SECRET}; rotate replaces it there too. Scopes are in
docs/identity.md. Requires gcloud, logged in.

Exit status: 0 done, 1 an error, 2 wrong usage.
`;

/** The name of the key by which a deploy tests the API, and its scopes. */
const ROLLOUT = { name: "rollout", scopes: ["*:read", "*:write"] };

if (import.meta.main) await runMain(createKeys());

/** `npm run ops -- keys`, on the yaml files of `root`. */
export function createKeys(root?: string): Program {
  return { main: (args, terminal) => main(args, terminal, root), help: HELP };
}

async function main(args: string[], terminal: Terminal, root?: string): Promise<number> {
  const { positionals } = parseOptions({ args, allowPositionals: true, options: {} });
  const [environment, command = "", name = "", ...scopes] = positionals;
  const settings = readSettings(findEnvironment(environment), root);
  const { projectId } = settings.environment;
  const named = getSecret(settings.api, "API_KEYS_SECRET");
  const lines = new SecretStore(projectId, named ?? API_KEYS_SECRET);
  const rolloutKey = new SecretStore(projectId, ROLLOUT_KEY_SECRET);
  const takesName = ["create", "rotate", "retire", "remove"].includes(command);
  if (takesName !== (name !== "") || (command !== "create" && scopes.length > 0))
    throw new UsageError(`${command || "ENVIRONMENT"} is not followed by what it needs.`);
  if (name === ROLLOUT.name && command === "create")
    throw new UsageError("The first deploy that needs the key of the deploys creates it.");
  switch (command) {
    case "list":
      await list(terminal, lines);
      return 0;
    case "create": {
      const { key, line } = makeKey(name, scopes);
      await change(lines, (stored) => addLine(stored, line));
      terminal.print(`${key}\n`);
      return 0;
    }
    case "rotate":
      await rotate(name, lines, rolloutKey, terminal);
      return 0;
    case "retire":
      await change(lines, (stored) => retireLines(stored, name));
      return 0;
    case "remove":
      await change(lines, (stored) => removeLines(stored, name));
      return 0;
    case "rollout":
      if (named) terminal.print(`${await provideRolloutKey(lines, rolloutKey)}\n`);
      return 0;
    default:
      throw new UsageError(`There is no command ${JSON.stringify(command)}.`);
  }
}

async function list(terminal: Terminal, store: SecretStore): Promise<void> {
  const { value, version } = await store.read();
  for (const { name, sha256, scopes } of parseLines(value))
    terminal.print(`${name.padEnd(20)}  ${sha256.slice(0, 8)}…  ${scopes.join(" ")}\n`);
  terminal.print(version === 0 ? "There are no keys.\n" : `version ${version}\n`);
}

/** Reads the lines, and writes what `work` makes of them. */
async function change(store: SecretStore, work: (lines: KeyLine[]) => KeyLine[]): Promise<void> {
  const stored = await store.read();
  const lines = work(parseLines(stored.value));
  if (lines.length === 0)
    throw new UsageError("The last key cannot be removed: no API that requires keys would start.");
  await store.write(formatLines(lines), stored);
}

/**
 * Adds the key's line before the deploys' key is stored, so that what is stored is valid, and what
 * was stored before stays so.
 */
async function rotate(
  name: string,
  store: SecretStore,
  rolloutKey: SecretStore,
  terminal: Terminal,
): Promise<void> {
  const kept = name === ROLLOUT.name ? await rolloutKey.read() : undefined;
  const { key, line } = makeKey(name, []);
  await change(store, (lines) =>
    rotateLine(lines, { ...line, scopes: findNewest(lines, name).scopes }),
  );
  if (kept) await rolloutKey.write(key, kept);
  else terminal.print(`${key}\n`);
}

/** The stored key of the deploys; a new one where none is stored, or its line is missing. */
async function provideRolloutKey(store: SecretStore, rolloutKey: SecretStore): Promise<string> {
  const [stored, kept] = await Promise.all([store.read(), rolloutKey.read()]);
  const lines = parseLines(stored.value);
  if (lines.some(({ sha256 }) => sha256 === hashKey(kept.value))) return kept.value;
  const { key, line } = makeKey(ROLLOUT.name, ROLLOUT.scopes);
  const others = lines.filter(({ name }) => name !== ROLLOUT.name);
  await store.write(formatLines([...others, line]), stored);
  await rolloutKey.write(key, kept);
  return key;
}
