import { type Application, fail, type StandInService } from "./stand-in-application.ts";
import { readLog } from "./stand-in-cloud-logging.ts";

/** A command line of gcloud: its words, its operands, and its flags with their values. */
export type Command = {
  words: string;
  name: string;
  operands: string[];
  flags: Record<string, string | undefined>;
};

const FILES: Record<string, string> = { "app.yaml": "default", "subscriber.yaml": "subscriber" };
/** The commands that it takes, with their flags. */
export const FLAGS: Record<string, string[]> = {
  "app versions list": [],
  "app versions describe": ["service"],
  "app versions delete": ["service"],
  "app services describe": [],
  "app services set-traffic": ["splits", "split-by"],
  "app deploy": ["no-promote", "version", "service-account"],
  "logging read": ["limit"],
  "config get-value": [],
};

export function parseCommand(args: readonly string[]): Command {
  const words = args.filter((arg) => !arg.startsWith("--"));
  const flags = args
    .filter((arg) => arg.startsWith("--"))
    .map((arg) => {
      const [name = "", ...value] = arg.slice(2).split("=");
      return [name, value.join("=")];
    });
  const name = Object.keys(FLAGS).find((one) => words.join(" ").startsWith(one)) ?? "";
  return {
    words: words.join(" "),
    name,
    operands: words.slice(name.split(" ").length),
    flags: Object.fromEntries(flags),
  };
}

/** Runs the command and returns what gcloud prints as JSON; throws a {@link CommandError}. */
export function perform(
  application: Application,
  command: Command,
  afterService: () => void,
): unknown {
  const { name, operands, flags } = command;
  const known = [...(FLAGS[name] ?? fail(`no such command: ${command.words}`)), "quiet"];
  if (name !== "config get-value") known.push("project", "format");
  for (const flag of Object.keys(flags)) if (!known.includes(flag)) fail(`no flag --${flag}`);
  if (flags.quiet === undefined) fail("it would ask a question");
  if (known.includes("project") && flags.project !== "constancia-test") fail("another project");
  if (name === "config get-value") return undefined;
  if (name === "app versions list") return listVersions(application);
  if (name === "app versions describe")
    return { id: operands[0], versionUrl: findUrl(application, operands[0]) };
  if (name === "app versions delete") return deleteVersions(application, command);
  if (name === "app services describe") return describeService(application, command);
  if (name === "app services set-traffic") return setTraffic(application, command);
  if (name === "app deploy") return deploy(application, command, afterService);
  return readLog(application, operands[0] ?? "", Number(flags.limit));
}

/** The address of a version, which only its commit tells apart. */
function findUrl({ state }: Application, id = ""): string {
  return state.urls[id.slice(-7)] ?? state.url;
}

function listVersions(application: Application) {
  return Object.entries(application.state.services).flatMap(([service, { versions }]) =>
    versions.map(({ id, share, createTime }) => ({
      id,
      service,
      project: "constancia-test",
      traffic_split: share,
      version: { createTime, id, servingStatus: "SERVING", versionUrl: findUrl(application, id) },
    })),
  );
}

function describeService(application: Application, { operands }: Command) {
  const { versions, shardBy } = findService(application, operands[0]);
  const live = versions.filter(({ share }) => share > 0).map(({ id, share }) => [id, share]);
  return { id: operands[0], split: { allocations: Object.fromEntries(live), shardBy } };
}

function deleteVersions(application: Application, { operands, flags }: Command): void {
  const service = findService(application, flags.service);
  for (const id of operands) {
    const version = service.versions.find((one) => one.id === id);
    if (!version) fail(`no version ${id}`);
    if (version?.share) fail(`Version [${id}] is currently serving traffic`);
  }
  service.versions = service.versions.filter(({ id }) => !operands.includes(id));
}

function setTraffic(application: Application, { operands, flags }: Command): void {
  const service = findService(application, operands[0]);
  const splits = (flags.splits ?? "").split(",").map((split) => split.split("="));
  for (const [id] of splits)
    if (!service.versions.some((one) => one.id === id)) fail(`no version ${id}`);
  const total = splits.reduce((sum, [, weight]) => sum + Number(weight), 0);
  for (const version of service.versions) {
    const weight = splits.find(([id]) => id === version.id)?.[1];
    version.share = Math.round((1_000 * Number(weight ?? 0)) / total) / 1_000;
  }
  service.shardBy = (flags["split-by"] ?? "ip").toUpperCase();
  application.onTraffic?.();
}

function deploy(
  application: Application,
  { operands, flags }: Command,
  afterService: () => void,
): void {
  if (flags["no-promote"] === undefined) fail("it would give it all traffic");
  for (const file of operands) {
    const id = FILES[file] ?? fail(`no file ${file}`);
    if (id !== "default" && !application.state.services.default)
      fail("The first service (module) you upload to a new application must be the 'default'");
    application.state.services[id] ??= { shardBy: "UNSPECIFIED", versions: [] };
    const { versions } = findService(application, id);
    application.state.clock += 60_000;
    const createTime = new Date(application.state.clock).toISOString();
    // The first version of a service gets all of its traffic, as on App Engine.
    versions.push({ id: flags.version ?? "", share: versions.length === 0 ? 1 : 0, createTime });
    afterService();
  }
}

function findService({ state }: Application, id = ""): StandInService {
  return state.services[id] ?? fail(`no service ${id}`);
}
