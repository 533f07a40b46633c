import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { OptionsSchema } from '@longshore/proto/containerd/runc/v1/oci';
import { describe, expect, it } from 'vitest';
import { shimOptions, usesSystemdCgroup } from './runc-options.ts';

const RUNC = 'io.containerd.runc.v2';
const options = (init: MessageInitShape<typeof OptionsSchema>) => ({
  typeUrl: 'containerd.runc.v1.Options',
  value: toBinary(OptionsSchema, create(OptionsSchema, init)),
});
const read = (any: { value: Uint8Array } | undefined) =>
  fromBinary(OptionsSchema, any?.value ?? new Uint8Array());

describe('shimOptions', () => {
  it("sets runc's root where it is left open, and nothing else", () => {
    expect(read(shimOptions(RUNC, undefined, undefined, '/run/x/runc')).root).toBe('/run/x/runc');
    const chosen = read(shimOptions(RUNC, undefined, options({ binaryName: '/bin/crun' }), '/run/x/runc'));
    expect(chosen).toMatchObject({ root: '/run/x/runc', binaryName: '/bin/crun' });
  });

  it('leaves a root that the caller chose', () => {
    const own = options({ root: '/own' });
    expect(shimOptions(RUNC, own, undefined, '/run/x/runc')).toBe(own);
  });

  it("prefers the task's options to the container's", () => {
    const chosen = shimOptions(RUNC, options({ root: '/task' }), options({ root: '/container' }), '/x');
    expect(read(chosen).root).toBe('/task');
    const empty = { typeUrl: '', value: new Uint8Array() };
    expect(read(shimOptions(RUNC, empty, options({ root: '/container' }), '/x')).root).toBe('/container');
  });

  it('refuses options of another type for runc, and passes them to other runtimes', () => {
    const other = { typeUrl: 'acme.Options', value: new Uint8Array([1]) };
    expect(() => shimOptions(RUNC, other, undefined, '/x')).toThrow(
      /invalid task create option for io.containerd.runc.v2/,
    );
    expect(shimOptions('io.containerd.kata.v2', other, undefined, '/x')).toBe(other);
  });

  it("knows runc's shim by its file too", () => {
    const path = '/opt/bin/containerd-shim-runc-v2';
    expect(read(shimOptions(path, undefined, undefined, '/run/x/runc')).root).toBe('/run/x/runc');
  });
});

describe('usesSystemdCgroup', () => {
  it("reads runc's options, and knows nothing of others", () => {
    expect(usesSystemdCgroup(options({ systemdCgroup: true }))).toBe(true);
    expect(usesSystemdCgroup(options({}))).toBe(false);
    expect(usesSystemdCgroup({ typeUrl: 'acme.Options', value: new Uint8Array([1]) })).toBeUndefined();
    expect(usesSystemdCgroup(undefined)).toBeUndefined();
  });
});
