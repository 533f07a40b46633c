import { create, toBinary } from '@bufbuild/protobuf';
import { BootstrapResultSchema } from '@longshore/proto/containerd/runtime/bootstrap/v1/bootstrap';
import { describe, expect, it } from 'vitest';
import { parseBootstrap } from './bootstrap-result.ts';

const address = 'unix:///run/containerd/s/0123456789abcdef';
const bytes = (text: string) => new TextEncoder().encode(text);

describe('parseBootstrap', () => {
  it('takes a bare address as version 2 over ttrpc', () => {
    expect(parseBootstrap(bytes(`${address}\n`))).toEqual({ version: 2, address, protocol: 'ttrpc' });
    const abstract = '/containerd-shim/default/web/shim.sock';
    expect(parseBootstrap(bytes(abstract))).toEqual({ version: 2, address: abstract, protocol: 'ttrpc' });
  });

  it('reads the JSON form', () => {
    const result = { version: 3, address, protocol: 'grpc' };
    expect(parseBootstrap(bytes(JSON.stringify(result)))).toEqual(result);
  });

  it('reads the protobuf form', () => {
    const result = { version: 3, address, protocol: 'ttrpc' } as const;
    const printed = toBinary(BootstrapResultSchema, create(BootstrapResultSchema, result));
    expect(parseBootstrap(printed)).toEqual(result);
  });

  it('takes JSON of a version before 2 as an address, as containerd does', () => {
    const text = JSON.stringify({ version: 1, address });
    expect(parseBootstrap(bytes(text))).toEqual({ version: 2, address: text, protocol: 'ttrpc' });
  });

  it('refuses a version that is newer than it knows', () => {
    expect(() => parseBootstrap(bytes(JSON.stringify({ version: 4, address })))).toThrow(
      expect.objectContaining({ kind: 'Unimplemented' }),
    );
  });
});
