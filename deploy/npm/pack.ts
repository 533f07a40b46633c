import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Manifest, publishManifest } from './publish-manifest.ts';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

/** The client, the command, and what they are made of. */
const PUBLISHED = [
  'errors',
  'proto',
  'filters',
  'oci',
  'linux',
  'transport',
  'rpc',
  'registry',
  'transfer',
  'client',
  'cli',
];

/**
 * Makes the tarballs of what is published. Node takes no types off files in node_modules, so that they hold JavaScript and declarations,
 * emitted by tsc from the sources that the workspace runs. Answers their paths.
 */
export function packAll(output: string, names: readonly string[] = PUBLISHED): string[] {
  const staging = mkdtempSync(join(tmpdir(), 'longshore-pack-'));
  try {
    emit(staging, names);
    const versions = new Map(names.map(readManifest).map(({ name, version }) => [name, version]));
    for (const name of names) complete(staging, name, versions);
    mkdirSync(output, { recursive: true });
    const folders = names.map((name) => join(staging, name));
    const packed = execFileSync(
      'npm',
      ['pack', '--json', '--ignore-scripts', '--pack-destination', resolve(output), ...folders],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 * 1024 * 1024 },
    );
    return fileNames(JSON.parse(packed)).map((file) => join(resolve(output), file));
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** Of one run of npm, whose answer is a list or, in later versions, an object by name. */
function fileNames(packed: { filename: string }[] | Record<string, { filename: string }>): string[] {
  return Object.values(packed).map(({ filename }) => filename);
}

/** One run of tsc for all of them, since they import one another. */
function emit(staging: string, names: readonly string[]): void {
  const project = join(staging, 'tsconfig.json');
  const packages = join(REPOSITORY, 'packages');
  const config = {
    extends: join(REPOSITORY, 'tsconfig.base.json'),
    compilerOptions: {
      noEmit: false,
      declaration: true,
      // The workspace's own check is of the same sources.
      noCheck: true,
      rewriteRelativeImportExtensions: true,
      removeComments: false,
      rootDir: packages,
      outDir: staging,
      typeRoots: [join(REPOSITORY, 'node_modules/@types')],
    },
    include: names.map((name) => join(packages, name, 'src')),
    exclude: [join(packages, '*/src/**/*.test.ts'), join(packages, '*/src/**/testing')],
  };
  writeFileSync(project, JSON.stringify(config));
  execFileSync(join(REPOSITORY, 'node_modules/.bin/tsc'), ['-p', project], { stdio: 'inherit' });
}

/** What tsc does not make: manifests, generated code, programs, documents. */
function complete(staging: string, name: string, versions: ReadonlyMap<string, string>): void {
  const from = join(REPOSITORY, 'packages', name);
  const to = join(staging, name);
  const manifest = publishManifest(readManifest(name), versions);
  writeFileSync(join(to, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  for (const document of ['README.md', 'CHANGELOG.md']) {
    if (existsSync(join(from, document))) cpSync(join(from, document), join(to, document));
  }
  if (existsSync(join(from, 'src/gen')))
    cpSync(join(from, 'src/gen'), join(to, 'src/gen'), { recursive: true });
  if (existsSync(join(from, 'bin'))) copyPrograms(join(from, 'bin'), join(to, 'bin'));
}

/** They are plain JavaScript, and load what was TypeScript. */
function copyPrograms(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    const text = readFileSync(join(from, name), 'utf8').replaceAll(/(import\('\.[^']*)\.ts'\)/g, "$1.js')");
    writeFileSync(join(to, name), text, { mode: 0o755 });
  }
}

function readManifest(name: string): Manifest {
  return JSON.parse(readFileSync(join(REPOSITORY, 'packages', name, 'package.json'), 'utf8'));
}

if (import.meta.main) {
  for (const path of packAll(process.argv[2] ?? '.')) process.stdout.write(`${path}\n`);
}
