import { open, rename, truncate } from 'node:fs/promises';

/** What can happen to the file of a blob. Each answers how to undo it. */
export const damages: Readonly<Record<string, (path: string) => Promise<() => Promise<void>>>> = {
  'with a flipped byte': async (path) => {
    await flipByte(path);
    return () => flipByte(path);
  },
  'that is too short': async (path) => {
    await using file = await open(path, 'r+');
    const { size } = await file.stat();
    const last = Buffer.alloc(1);
    await file.read(last, 0, 1, size - 1);
    await truncate(path, size - 1);
    return async () => {
      await using again = await open(path, 'r+');
      await again.write(last, 0, 1, size - 1);
    };
  },
  'that is gone': async (path) => {
    await rename(path, `${path}.away`);
    return () => rename(`${path}.away`, path);
  },
};

/** In its middle. Twice is as before. */
export async function flipByte(path: string): Promise<void> {
  await using file = await open(path, 'r+');
  const at = Math.floor((await file.stat()).size / 2);
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  await file.write(Buffer.from([byte[0]! ^ 0xff]), 0, 1, at);
}
