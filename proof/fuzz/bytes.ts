import fc from "fast-check";

const LIVE = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
const ITEM = '{"nombre":"bytes"}';
const POST = `POST /api/data HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${ITEM.length}\r\n\r\n${ITEM}`;
/** Fills what lacks of any body that is announced here, and is no request itself. */
const END = `${"\0".repeat(64)}\r\n\r\n\r\n`;

/** What requests are made of, well and badly. None of it is HEAD, whose answers tell no length. */
const PIECES = [
  ...["GET", "POST", "PUT", "DELETE", "PRI", "CONNECT", "OPTIONS", "get", "G\xe9T", "\x16\x03\x01"],
  ...[
    " ",
    "  ",
    "\t",
    "\r\n",
    "\n",
    "\r",
    "\0",
    "\r\n\r\n",
    "\n\n",
    ":",
    ": ",
    ",",
    ";",
    "\xff\xfe",
  ],
  ...[
    "/",
    "/api/data",
    "/api/data/a",
    "*",
    "http://x/api/data",
    "//",
    "/\xf1",
    "/%",
    `/${"x".repeat(20_000)}`,
  ],
  ...[
    " HTTP/1.1\r\n",
    " HTTP/1.0\r\n",
    " HTTP/0.9\r\n",
    " HTTP/2.0\r\n",
    " HTTP/1.1\n",
    " http/1.1\r\n",
  ],
  ...[
    "Host: x\r\n",
    "Host: x\r\n",
    "Host:\r\n",
    "Host : x\r\n",
    "X-A: b\r\n c\r\n",
    "X-\0: y\r\n",
    "X: \x7f\r\n",
  ],
  ...["Content-Type: application/json\r\n", "Connection: close\r\n", "Connection: keep-alive\r\n"],
  ...["Connection: upgrade\r\nUpgrade: websocket\r\n", "Expect: 100-continue\r\n", "Expect: x\r\n"],
  ...[
    "Content-Length: 0\r\n",
    "Content-Length: 18\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: -1\r\n",
  ],
  ...["Content-Length: 0x5\r\n", "Content-Length: 1e1\r\n", "Content-Length: 18, 18\r\n"],
  ...["Content-Length: 99999999999999999999\r\n", "Content-Length:\r\n"],
  ...[
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding:\x0bchunked\r\n",
  ],
  ...[
    "Transfer-Encoding: gzip, chunked\r\n",
    "Trailer: If-Match\r\n",
    `X: ${"y".repeat(17_000)}\r\n`,
  ],
  ...[
    "12\r\n",
    "5\r\n",
    "0\r\n\r\n",
    "12;a=b\r\n",
    "-1\r\n",
    "fffffffffffffffff\r\n",
    "0\r\nX: y\r\n\r\n",
  ],
  ...[ITEM, `${ITEM}\r\n`, "[", "{}"],
];

/** Parts of what goes over a connection, as they are written; some of it is HTTP. */
export const anyBytes: fc.Arbitrary<string[]> = fc
  .array(
    fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom(...PIECES) },
      { weight: 1, arbitrary: fc.constantFrom(LIVE, POST) },
      { weight: 1, arbitrary: randomBytes() },
      { weight: 2, arbitrary: request() },
    ),
    { maxLength: 12, size: "max" },
  )
  .chain((pieces) => cut(pieces.join("") + END));

/** A head of pieces in the right order, so that what comes after it is looked at as well. */
function request(): fc.Arbitrary<string> {
  const headers = PIECES.filter((piece) => /^[A-Z][A-Za-z-]*:.*\r\n$/.test(piece));
  const chunked = "Transfer-Encoding: chunked\r\n";
  const chunk = `12\r\n${ITEM}\r\n`;
  const bodies = [ITEM, "", `${chunk}0\r\n\r\n`, `${chunk}0\r\nIf-Match: *\r\n\r\n`, `${chunk}x`];
  return fc
    .tuple(
      fc.constantFrom("GET / ", "POST /api/data ", "PUT /api/data/a ", "DELETE /api/data/a "),
      fc.array(fc.oneof(fc.constantFrom(...headers), fc.constant(chunked)), { maxLength: 3 }),
      fc.constantFrom(...bodies),
    )
    .map(([line, chosen, body]) => `${line}HTTP/1.1\r\nHost: x\r\n${chosen.join("")}\r\n${body}`);
}

function randomBytes(): fc.Arbitrary<string> {
  return fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
}

/** In one part or in a few, which may end anywhere. */
function cut(bytes: string): fc.Arbitrary<string[]> {
  return fc.array(fc.nat(bytes.length), { maxLength: 3 }).map((places) => {
    const ends = [...places.toSorted((one, other) => one - other), bytes.length];
    return ends.map((end, index) => bytes.slice(ends[index - 1] ?? 0, end)).filter(Boolean);
  });
}
