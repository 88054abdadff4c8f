import type { Transform } from "node:stream";
import zlib from "node:zlib";
import type { NextFunction, Request, RequestHandler, Response } from "express";
import { BODY_BYTES } from "../../common/limits.ts";
import { bodyTooLarge, incompleteBody, type Problem, undecodableBody } from "../answer/problem.ts";
import { readContentCoding, readMediaType } from "./content-headers.ts";
import { NOTHING_ACCEPTED, tooManyBytes } from "./memory-reservation.ts";

/** What a part of a body costs beside its bytes and their copy: it may be sent byte by byte. */
const PART_BYTES = 200;
/** The window that a decoder must support, and need not exceed (RFC 9659, section 3): 8 MiB. */
const ZSTD_WINDOW_LOG = 23;
type Decoder = Transform & { bytesWritten: number };

const DECODERS: Record<string, () => Decoder> = {
  gzip: zlib.createGunzip,
  deflate: zlib.createInflate,
  br: zlib.createBrotliDecompress,
  zstd: () =>
    zlib.createZstdDecompress({
      params: { [zlib.constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG },
    }),
};

/** Reads the body's bytes, decompressed, if its media type is supported. */
export const readBody: RequestHandler = (request, response, next) => {
  readMediaType(request);
  // An application's own middleware has read it.
  if (request.readableEnded) return next();
  // The readers below would wait for the end of a body that is refused anyway.
  if (Number(request.get("content-length")) > BODY_BYTES) throw bodyTooLarge();
  readBytes(request, response, next);
};

/**
 * Waits for the end of a body that is ignored: a request that breaks off, or turns out malformed,
 * before its end must have no effect.
 */
export const skipBody: RequestHandler = (request, _response, next) => {
  const { "content-length": length, "transfer-encoding": coding } = request.headers;
  if ((length === undefined && coding === undefined) || request.readableEnded) return next();
  request
    .once("end", () => next())
    .once("error", () => next(incompleteBody()))
    .resume();
};

/**
 * Collects the body, decompressed, and stops at the first byte too many. `express.raw()` would count
 * no bytes across requests, and costs a POST a tenth more in all. It would also take a decoder's end
 * for the body's: a decoder ends with its frame, whatever follows, or is still to come.
 */
function readBytes(request: Request, response: Response, next: NextFunction): void {
  const { memory } = response.locals;
  const decoder = createDecoder(request);
  const chunks: Buffer[] = [];
  let encodedBytes = 0;
  let bytes = 0;
  let refusal: Problem | undefined;
  const end = () => {
    if (!request.readableEnded || (decoder && !refusal && !decoder.readableEnded)) return;
    // `bytesWritten` are those that the decoder has used.
    if (decoder && !refusal && decoder.bytesWritten !== encodedBytes) refuse(undecodableBody());
    else if (refusal) next(refusal);
    else {
      request.body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
      next();
    }
  };
  const refuse = (problem: Problem) => {
    refusal = problem;
    chunks.length = 0;
    memory.release();
    if (decoder) request.unpipe(decoder);
    decoder?.destroy();
    if (request.readableEnded) end();
    else request.resume();
  };
  const body = decoder ? request.pipe(decoder) : request;
  body.on("data", (chunk: Buffer) => {
    // The excess is read but not kept: a client that is still sending would miss the answer.
    if (refusal) return;
    bytes += chunk.length;
    if (bytes > BODY_BYTES) refuse(bodyTooLarge());
    else if (!memory.tryReserve(2 * chunk.length + PART_BYTES))
      refuse(tooManyBytes(NOTHING_ACCEPTED));
    else chunks.push(chunk);
  });
  request.once("end", end).once("error", () => {
    decoder?.destroy();
    next(incompleteBody());
  });
  if (!decoder) return;
  request.on("data", (chunk: Buffer) => {
    encodedBytes += chunk.length;
  });
  decoder.on("error", () => {
    if (!refusal) refuse(undecodableBody());
  });
  decoder.once("end", () => {
    request.unpipe(decoder).resume();
    end();
  });
}

function createDecoder(request: Request): Decoder | undefined {
  const coding = readContentCoding(request);
  return coding === undefined ? undefined : DECODERS[coding]?.();
}
