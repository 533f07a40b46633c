/** One way in which a server wants its callers to prove themselves. */
export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  scheme: string;
  /** By their names in lower case. */
  parameters: Readonly<Record<string, string>>;
}

const SCHEME = /^\s*,*\s*([A-Za-z][A-Za-z0-9._-]*)(?:\s+|$)/;
const PARAMETER = /^\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/;

/** Reads the values of a `WWW-Authenticate` header; what cannot be read is left out. Source: RFC 9110, 11.6.1. */
export function parseChallenges(values: readonly string[]): Challenge[] {
  return values.flatMap(challengesOf);
}

function challengesOf(value: string): Challenge[] {
  const challenges: Challenge[] = [];
  let rest = value;
  for (let match = SCHEME.exec(rest); match; match = SCHEME.exec(rest)) {
    rest = rest.slice(match[0].length);
    const parameters: Record<string, string> = {};
    for (let pair = PARAMETER.exec(rest); pair; pair = PARAMETER.exec(rest)) {
      rest = rest.slice(pair[0].length);
      parameters[pair[1]!.toLowerCase()] = pair[2]?.replace(/\\(.)/g, '$1') ?? pair[3]!;
    }
    challenges.push({ scheme: match[1]!.toLowerCase(), parameters });
  }
  return challenges;
}
