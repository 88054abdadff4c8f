/**
 * The headers of our answers, with what they say: those that the OpenAPI document describes, and that
 * browsers show to pages of other origins.
 */
export const ANSWER_HEADERS = {
  Accept: "The media types that are supported.",
  "Accept-Encoding": "The content codings that are supported.",
  "Accept-Post": "The media types that are supported.",
  ETag: "The item's version.",
  "Last-Modified": "When the item's version was accepted.",
  Link: 'The path of the receipt, with `rel="status"` (RFC 8631).',
  Location: "The path of the item.",
  "Preference-Applied": "The preferences that were applied (RFC 7240).",
  RateLimit: "What is left of the rate limit, where there is one.",
  "RateLimit-Policy": "The rate limit, where there is one.",
  "Retry-After": "Seconds after which to try again.",
  "WWW-Authenticate": "How to authorize the request.",
  "X-Request-Id": "Identifies the request in logs.",
} as const;

export type AnswerHeader = keyof typeof ANSWER_HEADERS;
