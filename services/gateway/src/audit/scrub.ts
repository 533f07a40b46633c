/** Longer than any name of containerd's API; what is longer is no name. */
const MAX_LENGTH = 512;

/** Where a name may hold a secret although it should not: in a URL, and as a token of ours in the place of its id. */
const USER_OF_URL = /\/\/[^/@\s]*@/g;
const QUERY_OF_URL = /(:\/\/[^?\s]*)\?\S*/g;
const TOKEN = /\b(lst_[A-Za-z0-9]+)_[\w-]+/g;
const BEARER = /\b(bearer|basic)\s+[\w\-.~+/]+=*/gi;
const JWT = /\beyJ[\w-]+\.[\w-]+\.[\w-]*/g;

/** The text without what looks like a credential. */
export function scrub(text: string): string {
  return text
    .replace(USER_OF_URL, '//…@')
    .replace(QUERY_OF_URL, '$1?…')
    .replace(TOKEN, '$1_…')
    .replace(BEARER, '$1 …')
    .replace(JWT, '…');
}

/** Well-formed, and no longer than anybody reads. */
export function clip(text: string): string {
  const whole = text.toWellFormed();
  return whole.length <= MAX_LENGTH ? whole : `${whole.slice(0, MAX_LENGTH - 1).toWellFormed()}…`;
}
