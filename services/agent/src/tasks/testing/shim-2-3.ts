/**
 * Stands in for a shim of containerd 2.3, which no Debian has yet: `shim-2-3.ts REAL-SHIM FLAGS… start` takes only what
 * such a one takes, has an older real shim do the work, and answers as such a one answers. Source: containerd
 * pkg/shim/shim.go, compat.go.
 */
import { spawnSync } from 'node:child_process';
import { buffer } from 'node:stream/consumers';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import {
  type BootstrapParams,
  BootstrapParamsSchema,
  BootstrapResultSchema,
} from '@longshore/proto/containerd/runtime/bootstrap/v1/bootstrap';

const DEPRECATED =
  'shim was started through the deprecated API but was built against the new API; if you upgraded containerd, you may need to restart the daemon';

const [realShim = '', ...args] = process.argv.slice(2);
const flag = (name: string) => args[args.indexOf(name) + 1];

if (args.includes('-v')) {
  process.stdout.write('containerd-shim-runc-v2:\n  Version:  2.3.0\n  Revision: \n');
} else if (args.at(-1) === 'start') {
  const params = paramsOf(await buffer(process.stdin));
  const [options] = params.extensions;
  const input = options?.value ? toBinary(AnySchema, options.value) : Buffer.alloc(0);
  const answer = JSON.parse(runReal(input).toString());
  const result = create(BootstrapResultSchema, answer);
  process.stdout.write(toBinary(BootstrapResultSchema, result));
} else {
  process.stdout.write(runReal(Buffer.alloc(0)));
}

function paramsOf(input: Buffer): BootstrapParams {
  try {
    const params = fromBinary(BootstrapParamsSchema, input);
    if (params.instanceId === flag('-id') && params.namespace === flag('-namespace')) return params;
  } catch {
    // Bytes of something else.
  }
  return fail(DEPRECATED);
}

function runReal(input: Uint8Array): Buffer {
  const { status, stdout, stderr } = spawnSync(realShim, args, { input });
  return status === 0 ? stdout : fail(`${stdout}${stderr}`);
}

function fail(words: string): never {
  process.stderr.write(`${words}\n`);
  process.exit(1);
}
