const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/**
 * Whether a credential has the form of a signed JWT (RFC 7515, section 3.1), in the one spelling that
 * its signature has: base64url leaves unused bits in the last character, so that up to 16 strings decode
 * to one signature. Variants would each be verified, and remembered, anew.
 */
export function isCompactToken(credential: string): boolean {
  if (!COMPACT.test(credential)) return false;
  const signature = credential.slice(credential.lastIndexOf(".") + 1);
  return Buffer.from(signature, "base64url").toString("base64url") === signature;
}
