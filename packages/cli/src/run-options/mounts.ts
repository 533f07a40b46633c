import { posix } from 'node:path';
import type { MountSpec } from '@longshore/oci/runtime-spec';
import { UsageError } from '../usage-error.ts';
import { parseBytes } from './sizes.ts';

const NO_VOLUMES = 'There are no named volumes here: give a directory of the node, by its absolute path.';

/** `source:destination[:ro,rslave,…]`, as Docker's -v. Throws UsageError. */
export function parseVolume(text: string): MountSpec {
  const [source = '', destination = '', modes = '', ...rest] = text.split(':');
  const fail = (problem: string, hint?: string) => new UsageError(`--volume "${text}": ${problem}`, hint);
  if (destination === '' || rest.length > 0) throw fail('not SOURCE:DESTINATION[:OPTIONS]', NO_VOLUMES);
  if (!source.startsWith('/')) throw fail(`"${source}" is no absolute path`, NO_VOLUMES);
  if (!destination.startsWith('/')) throw fail(`"${destination}" is no absolute path`);
  const options = modes.split(',').filter((mode) => mode !== '' && mode !== 'z' && mode !== 'Z');
  const unknown = options.find((option) => !/^(ro|rw|(r?(shared|slave|private|bind)))$/.test(option));
  if (unknown !== undefined) throw fail(`option "${unknown}" is unknown`);
  return bind(source, destination, options);
}

/** `type=bind,source=…,target=…,readonly` or `type=tmpfs,target=…,tmpfs-size=64m`, as Docker's --mount. Throws UsageError. */
export function parseMount(text: string): MountSpec {
  const fail = (problem: string, hint?: string) => new UsageError(`--mount "${text}": ${problem}`, hint);
  const fields = new Map<string, string>();
  for (const part of text.split(',')) {
    const [name = '', ...value] = part.split('=');
    fields.set(NAMES[name] ?? name, value.join('='));
  }
  const unknown = [...fields.keys()].find((name) => !KNOWN.has(name));
  if (unknown !== undefined) throw fail(`field "${unknown}" is unknown`);
  const { type = 'volume', source = '', target = '' } = Object.fromEntries(fields);
  if (!target.startsWith('/')) throw fail('it needs a target, an absolute path');
  const isReadOnly = fields.has('readonly') && !/^(false|0)$/.test(fields.get('readonly')!);
  const access = isReadOnly ? ['ro'] : [];
  if (type === 'bind') {
    if (!source.startsWith('/')) throw fail('it needs a source, an absolute path', NO_VOLUMES);
    const propagation = fields.get('bind-propagation');
    return bind(source, target, [...access, ...(propagation ? [propagation] : [])]);
  }
  if (type !== 'tmpfs') throw fail(`type "${type}" is unknown`, 'Types are bind and tmpfs.');
  const size = fields.get('tmpfs-size');
  const mode = fields.get('tmpfs-mode');
  return tmpfs(target, [
    ...access,
    ...(size ? [`size=${parseBytes(size, '--mount tmpfs-size')}`] : []),
    ...(mode ? [`mode=${mode}`] : []),
  ]);
}

/** `/path[:size=64m,mode=1777]`, as Docker's --tmpfs. Throws UsageError. */
export function parseTmpfs(text: string): MountSpec {
  const [destination = '', options = ''] = text.split(/:(.*)/s);
  if (!destination.startsWith('/'))
    throw new UsageError(`--tmpfs "${text}": "${destination}" is no absolute path`);
  return tmpfs(
    destination,
    options.split(',').filter((option) => option !== ''),
  );
}

const NAMES: Readonly<Record<string, string>> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
};
const KNOWN = new Set([
  'type',
  'source',
  'target',
  'readonly',
  'bind-propagation',
  'tmpfs-size',
  'tmpfs-mode',
]);

function bind(source: string, destination: string, options: readonly string[]): MountSpec {
  const isAccess = (option: string) => option === 'ro' || option === 'rw';
  const access = options.some(isAccess) ? [] : ['rw'];
  const propagation = options.some((option) => /shared|slave|private/.test(option)) ? [] : ['rprivate'];
  const recursion = options.some((option) => /^r?bind$/.test(option)) ? [] : ['rbind'];
  const all = [...recursion, ...propagation, ...access, ...options];
  return { type: 'bind', source, destination: posix.normalize(destination), options: all };
}

function tmpfs(destination: string, options: readonly string[]): MountSpec {
  return {
    type: 'tmpfs',
    source: 'tmpfs',
    destination: posix.normalize(destination),
    options: ['noexec', 'nosuid', 'nodev', ...options],
  };
}
