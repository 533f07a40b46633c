import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { REPOSITORY, resolveRelative, type Source, sourcesOf, unitsBelow } from './sources.ts';

/** Lower layers first; a package imports from layers below its own only. */
const LAYERS = [
  ['errors', 'proto'],
  ['filters', 'oci', 'linux', 'ttrpc'],
  ['transport'],
  ['kit', 'postgres', 'messaging', 'rpc', 'registry'],
  ['transfer'],
  ['client'],
  ['cli', 'local', 'content', 'image', 'snapshot', 'runtime', 'events', 'gateway', 'agent'],
];

/** Packages that may be imported only inside certain folders of a service. */
const CONFINED: [pattern: RegExp, allowed: RegExp, why: string][] = [
  [/^pg$/, /^services\/[^/]+\/src\/storage\/postgres\//, 'SQL lives in storage/postgres'],
  [
    /^@nats-io\//,
    /^(packages\/messaging|services\/events|deploy\/local|test)\//,
    'NATS is behind packages/messaging',
  ],
  [/^koffi$/, /^packages\/linux\//, 'libc is behind packages/linux'],
];

const packages = unitsBelow('packages');
const services = unitsBelow('services');
const sources = sourcesOf([...packages, ...services, 'deploy/local']);
const shipped = sources.filter((source) => !source.isTest);

describe('dependencies', () => {
  it('covers every package and service', () => {
    const known = LAYERS.flat();
    for (const unit of [...packages, ...services]) expect(known).toContain(unit.split('/')[1]);
    expect(sources.length).toBeGreaterThan(50);
  });

  it('point down: packages import from lower layers only, services never from one another', () => {
    expect(violations(shipped, importsUpOrAcross)).toEqual([]);
  });

  it('go through the edge of a package, never into its files', () => {
    expect(violations(sources, reachesIntoAnotherPackage)).toEqual([]);
  });

  it('are declared: what ships is there after an installation without development dependencies', () => {
    const loading = shipped.map((source) => ({ ...source, imports: source.loads }));
    expect(violations(loading, isUndeclared)).toEqual([]);
  });

  it('keep the domain free of protobuf, grpc-js, Postgres and NATS', () => {
    const domain = shipped.filter((source) => /^services\/[^/]+\/src\/domain\//.test(source.path));
    expect(domain.length).toBeGreaterThan(5);
    const foreign =
      /^(@bufbuild\/|@grpc\/|pg$|@nats-io\/|@longshore\/(proto(?!\/headers)|postgres|rpc|messaging))/;
    expect(violations(domain, (_, specifier) => foreign.test(specifier))).toEqual([]);
  });

  it('keep the environment inside configuration', () => {
    const readers = shipped
      .filter(
        (source) =>
          !/^(packages\/kit\/src\/lifecycle\.ts|deploy\/local\/|packages\/postgres\/src\/testing)/.test(
            source.path,
          ),
      )
      .filter((source) => /process\.env\b/.test(readFileSync(join(REPOSITORY, source.path), 'utf8')))
      .map((source) => source.path);
    expect(readers).toEqual([]);
  });

  it.each(CONFINED)('%s is imported only where it belongs', (pattern, allowed) => {
    const outside = sources.filter(
      (source) => !source.isTest && !allowed.test(source.path) && source.unit !== 'packages/postgres',
    );
    expect(violations(outside, (_, specifier) => pattern.test(specifier))).toEqual([]);
  });

  it('have no cycle between files', () => {
    expect(findCycle(shipped)).toEqual([]);
  });
});

type Rule = (source: Source, specifier: string) => boolean;

function violations(among: Source[], isViolation: Rule): string[] {
  return among.flatMap((source) =>
    source.imports
      .filter((specifier) => isViolation(source, specifier))
      .map((specifier) => `${source.path} imports ${specifier}`),
  );
}

function importsUpOrAcross(source: Source, specifier: string): boolean {
  const target = /^@longshore\/([^/]+)/.exec(specifier)?.[1];
  if (target === undefined) return false;
  return layerOf(target) >= layerOf(source.unit.split('/').at(-1)!);
}

function isUndeclared({ unit }: Source, specifier: string): boolean {
  const imported = /^(?:@[\w-]+\/)?\w[\w.-]*/.exec(specifier)?.[0];
  if (imported === undefined || isBuiltin(specifier)) return false;
  const manifest = JSON.parse(readFileSync(join(REPOSITORY, unit, 'package.json'), 'utf8'));
  return imported !== manifest.name && !Object.hasOwn(manifest.dependencies ?? {}, imported);
}

function layerOf(name: string): number {
  return LAYERS.findIndex((layer) => layer.includes(name));
}

function reachesIntoAnotherPackage(source: Source, specifier: string): boolean {
  if (/^@longshore\/[^/]+\/src\//.test(specifier)) return true;
  return specifier.startsWith('.') && !resolveRelative(source, specifier).startsWith(`${source.unit}/`);
}

/** A cycle of relative imports, as the paths along it; empty when there is none. */
function findCycle(among: Source[]): string[] {
  const byPath = new Map(among.map((source) => [source.path, source]));
  const done = new Set<string>();
  const visit = (path: string, trail: string[]): string[] => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    const source = byPath.get(path);
    if (!source || done.has(path)) return [];
    for (const specifier of source.imports.filter((each) => each.startsWith('.'))) {
      const cycle = visit(resolveRelative(source, specifier), [...trail, path]);
      if (cycle.length > 0) return cycle;
    }
    done.add(path);
    return [];
  };
  for (const { path } of among) {
    const cycle = visit(path, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}
