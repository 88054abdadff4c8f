import assert from "node:assert/strict";
import { it } from "node:test";
import express from "express";
import { describeApi } from "../../api/routes/openapi.ts";
import { collections } from "../../collections/collections.ts";
import { mintWriteId } from "../../common/write-id.ts";
import { createApi, ITEM, serve } from "../support/api-without-servers.ts";
import type { Client } from "../support/http.ts";

type Parameter = { in: string; name: string; $ref?: string };
type Operation = { parameters?: Parameter[]; requestBody?: unknown };
type Path = Record<string, Operation> & { parameters?: Parameter[] };

const METHODS = ["get", "put", "post", "delete"];

/** Valid values of the headers that are described, and of a refused one any. */
const SAMPLES: Record<string, string> = {
  "if-match": "*",
  "if-none-match": "*",
  "if-unmodified-since": "Fri, 31 Dec 2100 23:59:59 GMT",
  "idempotency-key": "key",
  prefer: "return=minimal",
  traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-00`,
};

/** Headers that are read, and that no operation describes as a parameter. */
const OTHERS = new Set([
  // OpenAPI 3.1, 4.8.12.1: such parameters are ignored; `content` and `security` say it.
  ...["accept", "authorization", "content-type"],
  // How the body is sent.
  ...["content-encoding", "content-length", "transfer-encoding"],
  // Express reads them to compare versions, which it is not left to do.
  ...["cache-control", "if-modified-since"],
  // What limits the rate looks at it, and is given the address by us.
  "x-forwarded-for",
]);

it("the OpenAPI document lists the headers that each operation reads, and no others", async (context) => {
  const document = describeApi(collections);
  const paths = document.paths as Record<string, Path>;
  const { parameters: shared } = document.components as { parameters: Record<string, Parameter> };
  let read = new Set<string>();
  const record = <Headers extends object>(headers: Headers) =>
    new Proxy(headers, {
      get(target, name, receiver) {
        read.add(String(name));
        return Reflect.get(target, name, receiver);
      },
    });
  const app = express().use((request, _response, next) => {
    request.headers = record(request.headers);
    request.headersDistinct = record(request.headersDistinct);
    next();
  });
  const client = await serve(context, app.use(createApi().api));

  /** The headers that are read, and not refused. */
  const findRead = async (method: string, target: string, body: string | undefined) => {
    const send = async (headers: Record<string, string>) => {
      read = new Set();
      return { answer: await client.send(method, target, { body, headers }), read };
    };
    const supported: string[] = [];
    const candidates = [...(await send({})).read, ...Object.keys(SAMPLES)];
    for (const name of new Set(candidates)) {
      if (OTHERS.has(name)) continue;
      const { answer, read } = await send({ [name]: SAMPLES[name] ?? "x" });
      if (read.has(name) && !isRefused(answer, name)) supported.push(name);
    }
    return supported;
  };

  for (const [path, item] of Object.entries(paths))
    for (const method of METHODS.filter((name) => name in item)) {
      const operation = item[method] as Operation;
      const target = path.replace("{id}", "a").replace("{write}", mintWriteId());
      const body = operation.requestBody ? JSON.stringify({ ...ITEM, ...idOf(method, path) }) : "";
      const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(
        (parameter) => shared[parameter.$ref?.split("/").at(-1) ?? ""] ?? parameter,
      );
      // A list names the receipt of the write, and an item its id.
      const after = path.includes("{id}") ? mintWriteId() : `${target}/a/writes/${mintWriteId()}`;
      const targets = parameters.some(({ name }) => name === "after")
        ? [target, `${target}?after=${after}`]
        : [target];
      const found = new Set<string>();
      for (const each of targets)
        for (const name of await findRead(method.toUpperCase(), each, body || undefined))
          found.add(name);
      const listed = parameters.filter((parameter) => parameter.in === "header");
      assert.deepEqual(
        listed.map(({ name }) => name.toLowerCase()).toSorted(),
        [...found].toSorted(),
        `${method} ${path}`,
      );
    }
});

function isRefused({ status, body }: Awaited<ReturnType<Client["send"]>>, header: string): boolean {
  return status === 400 && body.detail.toLowerCase().includes(header);
}

/** PUT at the collection's own path has the id in the body. */
function idOf(method: string, path: string): { id?: string } {
  return method === "put" && !path.includes("{id}") ? { id: "a" } : {};
}
