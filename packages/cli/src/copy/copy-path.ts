import { UsageError } from '../usage-error.ts';

/** One side of a copy: a file of this machine, one of a container, or a tar archive at this command's input or output. */
export type CopyPath =
  | { kind: 'local'; path: string }
  | { kind: 'container'; container: string; path: string }
  | { kind: 'archive' };

/** `CONTAINER:PATH`, `-`, or a path; `./a:b` is a local one with a colon. Throws UsageError. */
export function parseCopyPath(text: string): CopyPath {
  if (text === '-') return { kind: 'archive' };
  const [, container, path] = /^([^/.:][^/:]*):(.*)$/s.exec(text) ?? [];
  if (container === undefined) {
    if (text === '') throw new UsageError('cp: a path is empty');
    return { kind: 'local', path: text };
  }
  if (!path) throw new UsageError(`cp "${text}": it names no path in the container`);
  return { kind: 'container', container, path: path.startsWith('/') ? path : `/${path}` };
}
