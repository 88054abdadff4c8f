import { GcloudError, runGcloud } from "../gcloud.ts";

/** A secret's latest value and the number of its version; version 0 where it has none yet. */
export type Stored = { value: string; version: number };

/** A secret of Secret Manager, read and written by gcloud. */
export class SecretStore {
  readonly #secret: string;
  readonly #flags: readonly string[];

  constructor(project: string, secret: string) {
    this.#secret = secret;
    this.#flags = [`--secret=${secret}`, `--project=${project}`];
  }

  async read(): Promise<Stored> {
    const args = ["secrets", "versions", "describe", "latest", ...this.#flags];
    let name: string;
    try {
      name = await runGcloud([...args, "--format=value(name)"]);
    } catch (error) {
      if (!(error instanceof GcloudError && /NOT_FOUND/.test(error.reason))) throw error;
      return { value: "", version: 0 };
    }
    const version = parseVersion(name);
    const access = ["secrets", "versions", "access", String(version), ...this.#flags];
    return { value: (await runGcloud(access)).replace(/\r?\n$/, ""), version };
  }

  /**
   * Adds a version after the one that was read. Secret Manager has no condition for it, so if another
   * one came in between, this says so, and the caller looks at both.
   */
  async write(value: string, { version }: Stored): Promise<void> {
    const project = this.#flags.slice(1);
    const args = ["secrets", "versions", "add", this.#secret, ...project, "--data-file=-"];
    const name = await runGcloud([...args, "--format=value(name)"], { input: value });
    if (parseVersion(name) === version + 1) return;
    throw new Error(
      `Another person wrote ${this.#secret} at the same time: version ${parseVersion(name)} replaces` +
        ` one that this command has not read. Compare it with the versions since ${version}.`,
    );
  }
}

/** The number at the end of `projects/…/secrets/…/versions/7`. */
function parseVersion(name: string): number {
  const [, number] = /(?:^|\/versions\/)(\d+)\s*$/.exec(name) ?? [];
  if (!number) throw new Error("gcloud prints no number of the secret's version.");
  return Number(number);
}
