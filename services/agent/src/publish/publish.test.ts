import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { TaskOOMSchema } from '@longshore/proto/containerd/events/task';
import { Events } from '@longshore/proto/containerd/services/events/ttrpc/v1/events';
import type { Envelope } from '@longshore/proto/containerd/types/event';
import { createTtrpcServer } from '@longshore/ttrpc';
import { describe, expect, it, onTestFinished } from 'vitest';
import { writePublishBinary } from './publish-binary.ts';

const value = toBinary(TaskOOMSchema, create(TaskOOMSchema, { containerId: 'web' }));
const EVENT = toBinary(AnySchema, create(AnySchema, { typeUrl: TaskOOMSchema.typeName, value }));

function run(binary: string, args: string[], input: Uint8Array): Promise<{ code: unknown; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(binary, args, { env: { PATH: '/usr/bin:/bin' } }, (error, _stdout, stderr) =>
      resolve({ code: error?.code ?? 0, stderr }),
    );
    child.stdin?.end(input);
  });
}

describe("a shim's publish binary", () => {
  it('is never half a program, also while an agent that starts writes it again', () => {
    const directory = mkdtempSync(join(tmpdir(), 'longshore-publish-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const path = writePublishBinary(directory);
    const before = statSync(path).ino;
    expect(writePublishBinary(directory)).toBe(path);
    // Another file has taken its place: whoever has opened the old one reads that to its end.
    expect(statSync(path).ino).not.toBe(before);
    expect(readdirSync(directory)).toEqual(['publish']);
  });

  it('sends the event to where shims report, and fails when nobody is there', async () => {
    const directory = mkdtempSync(join(tmpdir(), "longshore-publish's-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const seen: Envelope[] = [];
    const server = createTtrpcServer().add(Events, {
      forward: ({ envelope }) => {
        if (envelope) seen.push(envelope);
        return {};
      },
    });
    const address = join(directory, 'node.sock');
    await server.listen(`${address}.ttrpc`);
    const binary = writePublishBinary(directory);
    const args = ['--address', address, 'publish', '--topic', '/tasks/oom', '--namespace', 'team-a'];
    try {
      expect(await run(binary, args, EVENT)).toEqual({ code: 0, stderr: '' });
      expect(seen).toMatchObject([
        { namespace: 'team-a', topic: '/tasks/oom', event: { typeUrl: TaskOOMSchema.typeName } },
      ]);
      expect(Buffer.from(seen[0]?.event?.value ?? []).equals(value)).toBe(true);
      expect(seen[0]?.timestamp?.seconds).toBeGreaterThan(0n);
    } finally {
      await server.close();
    }
    expect(await run(binary, args, EVENT)).toEqual({ code: 1, stderr: expect.stringContaining('publish: ') });
    expect((await run(binary, args.slice(2), EVENT)).stderr).toMatch(/usage/);
  });
});
