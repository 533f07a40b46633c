import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { makeTar, type TarEntry } from '@longshore/local';
import { type Descriptor, type Digest, digestOf, MediaType } from '@longshore/oci';

/** A layer as a registry has it, and the digest of its archive. */
export interface BenchLayer {
  descriptor: Descriptor;
  bytes: Buffer;
  diffId: Digest;
  archiveBytes: number;
  files: number;
}

const LAYERS = 8;
const FILES_PER_LAYER = 3_250;
const FILES_PER_DIRECTORY = 25;
/** Beside small ones, every so many files a large one, as programs and libraries are. */
const LARGE_EVERY = 65;
const LARGE_BYTES = 650_000;
const SMALL_BYTES = { least: 200, most: 20_000 };
const WORDS = 8_192;
const WORD_BYTES = { least: 2, most: 12 };
const TEXT_BYTES = 24 * 2 ** 20;
const gzipped = promisify(gzip);

/**
 * Layers like those of a toolchain: 26,000 files, most of them small, which gzip makes half as large. The same bytes
 * every time.
 */
export async function makeBenchLayers(): Promise<BenchLayer[]> {
  const text = someText();
  const layers: BenchLayer[] = [];
  // One after the other: an archive is held whole.
  for (let n = 0; n < LAYERS; n++) layers.push(await makeLayer(n, text));
  return layers;
}

async function makeLayer(n: number, text: Buffer): Promise<BenchLayer> {
  const tar = makeTar([...entriesOf(n, text)]);
  const bytes = await gzipped(tar, { level: 6 });
  return {
    descriptor: { mediaType: MediaType.OciLayerGzip, digest: digestOf(bytes), size: bytes.length },
    bytes,
    diffId: digestOf(tar),
    archiveBytes: tar.length,
    files: FILES_PER_LAYER,
  };
}

function* entriesOf(layer: number, text: Buffer): Generator<TarEntry> {
  const random = randomNumbers(layer + 1);
  const top = `opt/part-${layer}`;
  yield { path: 'opt/', type: 'directory' };
  yield { path: `${top}/`, type: 'directory' };
  let directory = '';
  for (let n = 0; n < FILES_PER_LAYER; n++) {
    if (n % FILES_PER_DIRECTORY === 0) {
      directory = `${top}/lib-${n / FILES_PER_DIRECTORY}`;
      yield { path: `${directory}/`, type: 'directory' };
    }
    const { least, most } = SMALL_BYTES;
    const size = n % LARGE_EVERY === 0 ? LARGE_BYTES : least + (random() % (most - least));
    const start = random() % (text.length - size);
    yield {
      path: `${directory}/file-${n}.js`,
      type: 'file',
      content: text.subarray(start, start + size),
      mtimeS: 1_700_000_000 + n,
    };
  }
}

/** Words of a vocabulary in random order. */
function someText(): Buffer {
  const random = randomNumbers(0);
  const letters = createHash('shake256', { outputLength: WORDS * WORD_BYTES.most })
    .update('words')
    .digest('base64');
  const words = Array.from({ length: WORDS }, (_, n) => {
    const length = WORD_BYTES.least + (random() % (WORD_BYTES.most - WORD_BYTES.least));
    return letters.slice(n * WORD_BYTES.most, n * WORD_BYTES.most + length);
  });
  const text = Buffer.alloc(TEXT_BYTES);
  // Some words are far more frequent than others, as in every language.
  const next = () => words[Math.floor((random() / 2 ** 32) ** 3 * WORDS)];
  for (let at = 0; at < text.length; ) at += text.write(`${next()} `, at, 'latin1');
  return text;
}

/** The same numbers of 32 bits for the same seed. Source: Marsaglia, "Xorshift RNGs". */
function randomNumbers(seed: number): () => number {
  let state = (seed + 1) * 0x9e3779b1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
