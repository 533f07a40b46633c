/** The parts of a workspace package's package.json that matter for publishing. */
export interface Manifest {
  name: string;
  version: string;
  exports?: Record<string, string>;
  dependencies?: Record<string, string>;
  [key: string]: unknown;
}

/**
 * What a published package says of itself: JavaScript and types in the place of the sources that the workspace runs, and its siblings by
 * their version. Throws for a sibling that is not published with it.
 */
export function publishManifest(manifest: Manifest, versions: ReadonlyMap<string, string>): object {
  const {
    private: _,
    exports = {},
    dependencies = {},
    devDependencies: __,
    scripts: ___,
    ...rest
  } = manifest;
  const entries = Object.entries(exports).filter(([entry]) => entry !== './testing');
  return {
    ...rest,
    engines: { node: '>=24' },
    ...(entries.length > 0 && {
      exports: Object.fromEntries(entries.map(([entry, target]) => [entry, conditionsOf(target)])),
    }),
    dependencies: Object.fromEntries(
      Object.entries(dependencies).map(([name, range]) => [name, rangeOf(name, range, versions)]),
    ),
    publishConfig: { access: 'public' },
  };
}

function conditionsOf(target: string): { types: string; default: string } {
  const script = target.replace(/\.ts$/, '.js');
  return { types: script.replace(/\.js$/, '.d.ts'), default: script };
}

function rangeOf(name: string, range: string, versions: ReadonlyMap<string, string>): string {
  if (!range.startsWith('workspace:')) return range;
  const version = versions.get(name);
  if (version === undefined) throw new Error(`${name}: it is needed, and not published`);
  return version;
}
