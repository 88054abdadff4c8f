import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Request, RequestHandler, Response } from "express";
import type { Collection } from "../common/collection.ts";
import { malformed } from "./headers.ts";
import type { Reader } from "./reader.ts";

/** The newest items that a program is shown at `/`. */
const NEWEST_ITEMS = 100;

const CONSOLE_FILE = new URL("console.html", import.meta.url);

/** `GET /` for browsers: the console page, which holds no data; it is read when the first one asks. */
export function showConsole(): RequestHandler {
  let page: { html: string; policy: string } | undefined;
  return (request: Request, response: Response, next) => {
    response.vary("Accept");
    const form = request.accepts(["json", "html"]);
    if (!form) throw malformed("The answer is application/json or text/html.");
    if (form === "json") return next();
    page ??= loadConsole();
    response.setHeader("Content-Security-Policy", page.policy);
    response.type("html").send(page.html);
  };
}

/** `GET /` for programs: `{"data": [[id, first field], …]}`, the first collection's newest items. */
export function createNewest(options: {
  collections: readonly Collection[];
  reader: Reader;
}): RequestHandler {
  const collection = options.collections[0] as Collection;
  const firstField = collection.fields[0]?.name ?? "id";
  return async (_request: Request, response: Response) => {
    const rows = await options.reader.page(collection, {
      filters: [],
      newestFirst: true,
      limit: NEWEST_ITEMS,
    });
    response.json({ data: rows.map((row) => [row.id, row.item?.[firstField] ?? null]) });
  };
}

/** The page with a policy that allows its own style and script by hash, and nothing else. */
function loadConsole(): { html: string; policy: string } {
  const html = readFileSync(CONSOLE_FILE, "utf8");
  const hashOf = (element: string) => {
    const [, text = ""] = new RegExp(`<${element}>([^]*?)</${element}>`).exec(html) ?? [];
    return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  };
  const policy =
    `default-src 'none'; style-src ${hashOf("style")}; script-src ${hashOf("script")};` +
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  return { html, policy };
}
