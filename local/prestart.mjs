// Runs first in every npm script, on whatever Node the machine has, with Node's own modules only: it
// is the one file that cannot count on anything being installed. Its arguments are the folders whose
// packages are needed; without any, the project's own.

import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const FOLDERS = process.argv.length > 2 ? process.argv.slice(2) : ["."];
const LOCAL_NODE = join(ROOT, "node_modules", ".bin", "node");
const INSTALL_LOCK = join(ROOT, ".local", "install.pid");
const OLDEST_MACHINE_NODE = 20;
/** Of npm's output: the reason comes first, then pages of usage. */
const MAX_LINES = 15;
const NODE = readFileSync(join(ROOT, ".nvmrc"), "utf8").trim();

/** A failure whose message is a sentence for the user; it is printed without a stack. */
class SetupError extends Error {}

// What reads our output may end before us, as `head` does.
process.stdout.on("error", () => {});

try {
  refuseOldNode();
  if (!FOLDERS.every(isInstalled)) await install();
  checkLocalNode();
} catch (error) {
  console.error(error instanceof SetupError ? `constancia: ${error.message}` : error);
  process.exitCode = 1;
}

function refuseOldNode() {
  if (getMajor(process.version) >= OLDEST_MACHINE_NODE) return;
  throw new SetupError(
    `this machine's Node is ${process.version}; install Node ${OLDEST_MACHINE_NODE} or newer (${NODE} is best) and try again.`,
  );
}

/**
 * npm writes node_modules/.package-lock.json as the last step of an install, so comparing it with
 * package-lock.json also catches an install that was interrupted, and accepts one made by hand.
 */
function isInstalled(folder) {
  const installed = readPackages(join(ROOT, folder, "node_modules", ".package-lock.json"));
  if (!installed) return false;
  const locked = readPackages(join(ROOT, folder, "package-lock.json"));
  if (!locked) throw new SetupError(`${getLockfile(folder)} is missing; restore it with git.`);
  return Object.entries(locked).every(([path, wanted]) => {
    if (path === "") return true;
    const found = installed[path];
    if (!found) return wanted.optional === true;
    return found.version === wanted.version && found.integrity === wanted.integrity;
  });
}

function getLockfile(folder) {
  return join(folder, "package-lock.json");
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).packages;
  } catch (error) {
    if (error.code === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Two npm scripts may need packages at a time: one installs them, the other waits for it. */
async function install() {
  mkdirSync(join(ROOT, ".local"), { recursive: true });
  const progress = showProgress("installing packages");
  try {
    while (!takeInstallLock()) await sleep(200);
    try {
      const missing = FOLDERS.filter((folder) => !isInstalled(folder));
      await Promise.all(missing.map(runNpmCi));
    } finally {
      rmSync(INSTALL_LOCK, { force: true });
    }
  } finally {
    progress.end();
  }
}

function takeInstallLock() {
  try {
    writeFileSync(INSTALL_LOCK, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    if (!isAlive(readHolder())) rmSync(INSTALL_LOCK, { force: true });
    return false;
  }
}

function readHolder() {
  try {
    return Number(readFileSync(INSTALL_LOCK, "utf8")) || process.ppid;
  } catch {
    return process.ppid;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

async function runNpmCi(folder) {
  const options = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  const npm = spawn("npm", options, {
    cwd: join(ROOT, folder),
    env: withoutLocalNode(),
    stdio: "pipe",
  });
  let output = "";
  for (const stream of [npm.stdout, npm.stderr]) stream.on("data", (chunk) => (output += chunk));
  const code = await new Promise((resolve, reject) => {
    npm.once("error", (error) => reject(new SetupError(`npm could not be run: ${error.message}.`)));
    npm.once("close", resolve);
  });
  if (code === 0) return;
  throw new SetupError(
    `"npm ${options.join(" ")}" failed in ${join(ROOT, folder)} (exit ${code}); its output is below. Check the network and the registry, then try again.\n${output.trim().split("\n").slice(0, MAX_LINES).join("\n")}`,
  );
}

/** npm ci deletes node_modules, so it must not run on the Node that lies there. */
function withoutLocalNode() {
  const path = (process.env.PATH ?? "")
    .split(delimiter)
    .filter((folder) => !folder.endsWith(join("node_modules", ".bin")));
  return { ...process.env, PATH: path.join(delimiter) };
}

function checkLocalNode() {
  const found = getVersion(LOCAL_NODE);
  if (found && getMajor(found) === Number(NODE)) return;
  // Without the local one, the scripts run on the machine's Node, which is this one.
  if (!found && getMajor(process.version) === Number(NODE)) return;
  throw new SetupError(
    `node_modules/.bin/node ${found ? `is ${found}` : "does not run"}, and Node ${NODE} is needed. Run "npm rebuild node --ignore-scripts=false", or install Node ${NODE} yourself.`,
  );
}

function getVersion(node) {
  try {
    if (realpathSync(node) === process.execPath) return process.version;
    return execFileSync(node, ["--version"], { encoding: "utf8", stdio: "pipe" }).trim();
  } catch {
    return undefined;
  }
}

function getMajor(version) {
  return Number.parseInt(version.replace(/^v/, ""), 10);
}

function showProgress(sentence) {
  const startedAt = Date.now();
  const line = () => `constancia: ${sentence} (${Math.round((Date.now() - startedAt) / 1000)} s)`;
  const { isTTY } = process.stdout;
  const show = () => process.stdout.write(isTTY ? `\r${line()}` : `${line()}\n`);
  show();
  const timer = setInterval(show, isTTY ? 2_000 : 5_000);
  return {
    end() {
      clearInterval(timer);
      process.stdout.write(isTTY ? `\r${line()}\n` : `${line()}, done\n`);
    },
  };
}
