import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mount } from '@longshore/linux';
import { digestOf, MediaType } from '@longshore/oci';
import { afterAll, expect, it } from 'vitest';
import { LayerApplier } from '../../services/agent/src/diff/apply.ts';
import { describeTree, Scratch } from '../../services/agent/src/diff/testing/layers.ts';

/** What a distribution's image is made of: programs, libraries, links of both kinds, long names, thousands of files. */
const CONTENTS = ['usr/sbin', 'usr/lib/python3', 'usr/share/doc', 'usr/share/zoneinfo', 'etc/ssl'];

const scratch = new Scratch();
const applier = new LayerApplier({ tempDirectory: scratch.directory('temp') });

afterAll(async () => {
  await applier.close();
  await scratch.remove();
});

function tar(...args: string[]): void {
  execFileSync('tar', ['--numeric-owner', '--xattrs', '--xattrs-include=*', ...args], { stdio: 'pipe' });
}

function overlay(name: string): { mounts: Mount[]; upper: string } {
  const [upper, work, lower] = ['upper', 'work', 'lower'].map((part) => scratch.directory(name, part));
  const options = [`workdir=${work}`, `upperdir=${upper}`, `lowerdir=${lower}`];
  return { mounts: [{ type: 'overlay', source: 'overlay', options }], upper: upper! };
}

it.each([
  ['tar', MediaType.OciLayer, undefined],
  ['gzip', MediaType.OciLayerGzip, ['gzip', '-1']],
  ['zstd', MediaType.OciLayerZstd, ['zstd', '-q', '--rm']],
] as const)(
  "a distribution's files in a layer of %s come out as by GNU tar",
  async (name, mediaType, pack) => {
    const archive = join(scratch.path, `${name}.tar`);
    tar('--format=pax', '-C', '/', '-cf', archive, ...CONTENTS);
    const diffId = digestOf(readFileSync(archive));
    const reference = join(scratch.path, name, 'reference');
    mkdirSync(reference, { recursive: true });
    tar('-C', reference, '-xpf', archive);
    const packed = { tar: archive, gzip: `${archive}.gz`, zstd: `${archive}.zst` }[name];
    if (pack) execFileSync(pack[0], [...pack.slice(1), archive]);
    const { mounts, upper } = overlay(name);
    expect(await applier.applyLayer({ source: packed, mediaType, mounts })).toMatchObject({ digest: diffId });
    const expected = describeTree(reference);
    expect(Object.keys(expected).length).toBeGreaterThan(3_000);
    // Parents that no layer names are nobody's to compare.
    const named = (tree: Record<string, unknown>) =>
      Object.entries(tree).filter(([path]) => CONTENTS.some((top) => `${path}/`.startsWith(`${top}/`)));
    expect(Object.fromEntries(named(describeTree(upper)))).toEqual(Object.fromEntries(named(expected)));
  },
);
