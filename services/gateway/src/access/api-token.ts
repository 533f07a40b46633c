import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

const PREFIX = 'lst';
const ID_BYTES = 8;
const SECRET_BYTES = 32;
const FORM = /^lst_([0-9a-f]{16})_([\w-]{43})$/;

/** What a token is made of: the name that it is known by, and what makes it good. */
export interface ApiToken {
  id: string;
  secret: string;
}

/** A token as the database has it. */
export interface StoredToken {
  id: string;
  secretHash: Buffer;
  expiresAt: Date;
}

export function newApiToken(): ApiToken {
  return {
    id: randomBytes(ID_BYTES).toString('hex'),
    secret: randomBytes(SECRET_BYTES).toString('base64url'),
  };
}

/** e.g. `lst_0123456789abcdef_…`: the prefix lets scanners of sources find one that got there. */
export function formatApiToken({ id, secret }: ApiToken): string {
  return `${PREFIX}_${id}_${secret}`;
}

/** Undefined for what is no API token. */
export function parseApiToken(text: string): ApiToken | undefined {
  const [, id, secret] = FORM.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/** A secret is random and long, so a fast hash does: there is nothing to guess. */
export function hashOfSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** Compares in a time that does not depend on where the two differ. */
export function isGood(stored: StoredToken, secret: string): boolean {
  return timingSafeEqual(stored.secretHash, hashOfSecret(secret)) && Date.now() < stored.expiresAt.getTime();
}
