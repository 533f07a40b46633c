/**
 * A name as people type it, in full: `redis` is `docker.io/library/redis:latest`. What already names a host keeps
 * it. For callers that take names from people; containerd's API takes full names only.
 * Source: distribution/reference normalize.go.
 */
export function expandShortName(name: string): string {
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const namesHost = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  const full = namesHost ? name : `docker.io/${slash < 0 ? `library/${name}` : name}`;
  const path = full.slice(full.indexOf('/'));
  return /[:@]/.test(path) ? full : `${full}:latest`;
}
