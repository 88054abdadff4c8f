/**
 * Item ids consist of RFC 3986's unreserved characters, which need no escaping in a URL. The two dot
 * segments are excluded: clients remove them from paths (section 5.2.4).
 */
export const ITEM_ID = /^(?!\.{1,2}$)[A-Za-z0-9._~-]{1,64}$/;
