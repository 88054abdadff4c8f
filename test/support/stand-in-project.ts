import type { Config, Properties, Stacks } from "../../iac/terraform-json.ts";

/** What a deploy passes to Terraform. */
export type Variables = { password: string; areServicesDeployed: boolean };
/** Which of the resources that could be created now Terraform creates first: it does so in any order. */
export type Order = "first" | "last";
/** A program that a deploy runs failed, or was cut short. */
export class CutError extends Error {}

/**
 * A Google Cloud project as the programs of a deploy see it, with what they have done to it. Terraform
 * creates what is missing, each resource after those that it depends on.
 */
export class StandInProject {
  readonly #stacks: Stacks;
  readonly #order: Order;
  readonly #created = new Set<string>();
  /** The value of the secret's latest version. */
  secret: string | undefined;
  /** The password of the database's user. */
  userPassword: string | undefined;
  services: string[] = [];
  isMigrated = false;
  hasCron = false;

  constructor(stacks: Stacks, order: Order = "first") {
    this.#stacks = stacks;
    this.#order = order;
  }

  /** Creates what the stack lacks; with `most`, is cut after that many resources. */
  apply(stack: keyof Stacks, variables: Variables, most = Number.POSITIVE_INFINITY): void {
    for (let count = 0; ; count += 1) {
      const waiting = this.listMissing(stack, variables.areServicesDeployed);
      if (waiting.length === 0) return;
      if (count === most) throw new CutError(`cut after ${most} resources`);
      const ready = waiting.filter((address) => !this.#mustWait(stack, address, waiting));
      const next = this.#order === "first" ? ready[0] : ready.at(-1);
      if (next === undefined) throw new Error(`a circle among ${waiting.join(", ")}`);
      this.#create(stack, next, variables.password);
    }
  }

  /** The addresses of what the stack describes and nobody has created. */
  listMissing(stack: keyof Stacks, areServicesDeployed = true): string[] {
    return listAddresses(this.#stacks[stack])
      .filter(([, { count }]) => count === undefined || areServicesDeployed)
      .map(([address]) => address)
      .filter((address) => !this.#created.has(`${stack} ${address}`));
  }

  migrate(): void {
    if (this.userPassword === undefined || this.userPassword !== this.secret)
      throw new CutError("Access denied for user 'constancia': the secret has another password");
    this.isMigrated = true;
  }

  #mustWait(stack: keyof Stacks, address: string, waiting: readonly string[]): boolean {
    const [type = "", id = ""] = address.split(".");
    const text = JSON.stringify(this.#stacks[stack].resource?.[type]?.[id]);
    return waiting.some(
      (other) => other !== address && (text.includes(`{${other}.`) || text.includes(`"${other}"`)),
    );
  }

  #create(stack: keyof Stacks, address: string, password: string): void {
    this.#created.add(`${stack} ${address}`);
    if (address === "google_secret_manager_secret_version.mysql-password-version")
      this.secret = password;
    if (address === "google_sql_user.user") this.userPassword = password;
  }
}

function listAddresses({ resource = {} }: Config): [string, Properties][] {
  return Object.entries(resource).flatMap(([type, made]) =>
    Object.entries(made).map(([id, properties]): [string, Properties] => [
      `${type}.${id}`,
      properties,
    ]),
  );
}
