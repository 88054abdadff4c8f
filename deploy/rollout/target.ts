import type { Api } from "./api.ts";
import { Breach } from "./failure.ts";

/** A path of an API that takes a POST, and an item that it takes there. */
export type Target = { path: string; item: unknown };

type Description = {
  paths?: Record<
    string,
    { post?: { requestBody?: { content?: Record<string, { examples?: Examples }> } } }
  >;
};
type Examples = { one?: { value?: unknown } };

/**
 * The first collection of an API and an example of its items, as the API itself describes them in
 * /openapi.json: the running version may declare another first collection, or other fields, than
 * the commit that is rolled out.
 */
export async function readTarget(api: Api): Promise<Target> {
  const { status, body } = await api("GET", "/openapi.json");
  for (const [path, { post }] of Object.entries((body as Description).paths ?? {})) {
    const item = post?.requestBody?.content?.["application/json"]?.examples?.one?.value;
    if (item !== undefined) return { path, item };
  }
  throw new Breach(`GET /openapi.json returned ${status} and no collection to write to.`);
}
