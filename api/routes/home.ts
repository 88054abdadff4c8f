import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Request, RequestHandler, Response } from "express";
import type { Collection } from "../../common/collection.ts";
import type { Config } from "../../common/config.ts";
import { Page } from "../answer/page.ts";
import type { Reader } from "../reader.ts";
import { hasCallers } from "../request/access.ts";
import { isUnchanged } from "../request/condition-headers.ts";
import { readReader } from "../request/owner.ts";
import { refuseUnknownParameters } from "../request/parameters.ts";

/** The newest items that a program is shown at `/`. */
const NEWEST_ITEMS = 100;

const IMPORT = /^import \{[^}]*\} from "\.\/([a-z-]+\.js)";\n/gm;

/**
 * `GET /` for browsers: the console page, which holds no data. Its files in `folder` are read on the
 * first request.
 */
export function answerConsole(config: Config, folder: URL): RequestHandler {
  let page: { html: string; policy: string } | undefined;
  return (_request, response, next) => {
    const toPrograms = () => next();
    response.format({
      json: toPrograms,
      html() {
        page ??= loadConsole(config, folder);
        response.set("Content-Security-Policy", page.policy).send(page.html);
      },
      // As the other resources do, which have one form (RFC 9110, section 12.5.1).
      default: toPrograms,
    });
  };
}

/** `GET /` for programs: `{"data": [[id, first field], …]}`, the first collection's newest items. */
export function answerNewest(options: {
  collections: readonly Collection[];
  reader: Reader;
}): RequestHandler {
  const collection = options.collections[0] as Collection;
  const firstField = collection.fields[0]?.name ?? "id";
  return async (request: Request, response: Response) => {
    refuseUnknownParameters(request);
    const owner = readReader(collection, response);
    const page = new Page(response, NEWEST_ITEMS, (row) => [
      row.id,
      row.item?.[firstField] ?? null,
    ]);
    const range = { filters: [], newestFirst: true, limit: NEWEST_ITEMS, owner };
    await options.reader.page(collection, range, (row) => page.take(row));
    if (isUnchanged(request)) return void response.status(304).end();
    page.send();
  };
}

/**
 * The page as one answer, so that its parts are always of one version, also while two are served;
 * with a policy that allows its own style and script by hash, and nothing else. The page
 * also contains whether there are metrics, and who may call.
 */
function loadConsole(config: Config, folder: URL): { html: string; policy: string } {
  const read = (name: string) => readFileSync(new URL(name, folder), "utf8");
  const style = read("style.css");
  const script = joinModules(read, "main.js");
  const metrics = config.METRICS === "on" && hasCallers(config) ? "keys" : config.METRICS;
  const parts: [string, string][] = [
    [
      'data-metrics="off" data-access="public"',
      `data-metrics="${metrics}" data-access="${config.ACCESS}"`,
    ],
    ['<link rel="stylesheet" href="style.css">', `<style>${style}</style>`],
    ['<script type="module" src="main.js">', `<script type="module">${script}`],
  ];
  const html = parts.reduce(
    (text, [place, part]) => text.replace(place, () => part),
    read("index.html"),
  );
  const computeHash = (text: string) =>
    `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  const policy =
    `default-src 'none'; style-src ${computeHash(style)}; script-src ${computeHash(script)};` +
    " connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  return { html, policy };
}

/** A module after the modules that it imports, each once; in one scope they need no imports. */
function joinModules(
  read: (name: string) => string,
  name: string,
  joined = new Set<string>(),
): string {
  if (joined.has(name)) return "";
  joined.add(name);
  const text = read(name);
  const imported = [...text.matchAll(IMPORT)].map(([, other = ""]) =>
    joinModules(read, other, joined),
  );
  return imported.join("") + text.replaceAll(IMPORT, "").replaceAll(/^export /gm, "");
}
