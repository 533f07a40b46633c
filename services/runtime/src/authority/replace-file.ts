import { renameSync, rmSync, writeFileSync } from 'node:fs';

/** Puts a whole new file in the place of what is there. Never writes to a draft that another has left or placed there. */
export function replaceFile(path: string, text: string, mode: number): void {
  const draft = `${path}.new`;
  rmSync(draft, { force: true });
  writeFileSync(draft, text, { mode, flag: 'wx' });
  renameSync(draft, path);
}
