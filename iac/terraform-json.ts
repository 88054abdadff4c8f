/** One stack as Terraform reads it. */
export type Config = {
  resource?: Record<string, Record<string, Properties>>;
  terraform?: Properties;
  import?: { id: string; to: string }[];
  data?: Record<string, Record<string, Properties>>;
  variable?: Record<string, Properties>;
  output?: Record<string, Properties>;
};
export type Properties = Record<string, unknown>;
/** In the order in which they are applied. */
export const STACKS = ["platform", "service", "observability"] as const;
export type Stacks = Record<(typeof STACKS)[number], Config>;

/** One resource, and where it is found. */
export type Resource = {
  stack: keyof Stacks;
  type: string;
  /** As Terraform calls it: TYPE.ID. */
  address: string;
  properties: Properties;
};

/** The resources of all stacks; `type` may be any of several. */
export function listResources(stacks: Stacks, ...types: string[]): Resource[] {
  return STACKS.flatMap((stack) =>
    Object.entries(stacks[stack].resource ?? {})
      .filter(([type]) => types.length === 0 || types.includes(type))
      .flatMap(([type, made]) =>
        Object.entries(made).map(([id, properties]) => ({
          ...{ stack, type, properties },
          address: `${type}.${id}`,
        })),
      ),
  );
}

/** Whether a value means the resource: `${TYPE.ID.…}`, its name, or a path that ends with it. */
export function refersTo(value: unknown, { address, properties }: Resource): boolean {
  if (typeof value !== "string") return false;
  const [, referred] = /^\$\{([\w-]+\.[\w-]+)\.\w+\}$/.exec(value) ?? [];
  return referred ? referred === address : value.split("/").at(-1) === properties.name;
}

/** A block inside a resource: Terraform takes one as an object or as a list of one. */
export function getBlock(properties: Properties | undefined, name: string): Properties | undefined {
  const value = properties?.[name];
  return (Array.isArray(value) ? value[0] : value) as Properties | undefined;
}
