/** One stack in Terraform's JSON. */
export type Config = {
  resource?: Record<string, Record<string, Properties>>;
  terraform?: Properties;
  import?: { id: string; to: string }[];
  data?: Record<string, Record<string, Properties>>;
  variable?: Record<string, Properties>;
  output?: Record<string, Properties>;
};
export type Properties = Record<string, unknown>;
/** The stacks in the order in which they are applied; `worker-pool` only where the subscriber is one. */
export const STACKS = ["platform", "service", "worker-pool", "observability"] as const;
export type Stacks = Record<(typeof STACKS)[number], Config>;

/** One resource and its place. */
export type Resource = {
  stack: keyof Stacks;
  type: string;
  /** Terraform's address: TYPE.ID. */
  address: string;
  properties: Properties;
};

/** The resources of all stacks; with `types`, only those of these types. */
export function listResources(stacks: Stacks, ...types: string[]): Resource[] {
  return STACKS.flatMap((stack) =>
    Object.entries(stacks[stack].resource ?? {})
      .filter(([type]) => types.length === 0 || types.includes(type))
      .flatMap(([type, resources]) =>
        Object.entries(resources).map(([id, properties]) => ({
          stack,
          type,
          properties,
          address: `${type}.${id}`,
        })),
      ),
  );
}

/** Whether a value refers to the resource: `${TYPE.ID.…}`, its name, or a path that ends with its name. */
export function refersTo(value: unknown, { address, properties }: Resource): boolean {
  if (typeof value !== "string") return false;
  const [, referred] = /^\$\{([\w-]+\.[\w-]+)\.\w+\}$/.exec(value) ?? [];
  return referred ? referred === address : value.split("/").at(-1) === properties.name;
}

/** A block inside a resource, which is an object or a list of one object. */
export function getBlock(properties: Properties | undefined, name: string): Properties | undefined {
  const value = properties?.[name];
  return (Array.isArray(value) ? value[0] : value) as Properties | undefined;
}

/** The seconds in a duration such as `600s`; undefined where there is none. */
export function parseSeconds(duration: unknown): number | undefined {
  const [, seconds] = /^([\d.]+)s$/.exec(String(duration)) ?? [];
  return seconds === undefined ? undefined : Number(seconds);
}

/** The folder of the resource's stack and its address, for messages. */
export function formatPlace({ stack, address }: Resource): string {
  return `iac/${stack}, ${address}`;
}
