import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { type Image, type ImageOptions, makeImage } from './image.ts';
import type { TarEntry } from './tar.ts';
import { toolchain } from './toolchain.ts';

const FILES: Readonly<Record<string, string>> = {
  'etc/passwd':
    'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n',
  'etc/group': 'root:x:0:\nstaff:x:50:app\napp:x:1000:\nnogroup:x:65534:\n',
  'etc/os-release': 'ID=longshore-busybox\nNAME="busybox for longshore"\n',
};

const CONFIG: ImageOptions['config'] = {
  Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
  Cmd: ['sh'],
};

/** One layer on which a shell and busybox's other commands run: Debian's static busybox and a link for each applet. */
export async function busyboxLayer(): Promise<TarEntry[]> {
  const { busybox } = (await toolchain()).binaries;
  const { stdout } = await promisify(execFile)(busybox, ['--list']);
  const applets = stdout.split('\n').filter((name) => name !== '' && name !== 'busybox');
  const directories = ['bin', 'dev', 'etc', 'home', 'proc', 'sys', 'usr', 'usr/bin', 'var', 'var/log'];
  return [
    ...directories.map((path): TarEntry => ({ path: `${path}/`, type: 'directory' })),
    { path: 'root/', type: 'directory', mode: 0o700 },
    { path: 'home/app/', type: 'directory', uid: 1000, gid: 1000 },
    { path: 'tmp/', type: 'directory', mode: 0o1777 },
    ...Object.entries(FILES).map(([path, content]): TarEntry => ({ path, type: 'file', content })),
    { path: 'bin/busybox', type: 'file', mode: 0o755, content: await readFile(busybox) },
    ...applets.map(
      (name): TarEntry => ({ path: `bin/${name}`, type: 'symlink', mode: 0o777, target: 'busybox' }),
    ),
  ];
}

/** An image to run commands in; `layers` come on top of busybox's own. */
export async function makeBusyboxImage(options: Partial<ImageOptions> = {}): Promise<Image> {
  const { layers = [], config, ...rest } = options;
  return makeImage({ ...rest, layers: [await busyboxLayer(), ...layers], config: { ...CONFIG, ...config } });
}
