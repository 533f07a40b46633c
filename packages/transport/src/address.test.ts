import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { isKind } from '@longshore/errors';
import { describe, expect, it, onTestFinished } from 'vitest';
import { bindPrivately, claimSocketPath, parseAddress, splitHostPort } from './address.ts';
import { killedListener } from './testing/killed-listener.ts';
import { scratchDirectory } from './testing/scratch.ts';

describe('parseAddress', () => {
  it('tells unix sockets from TCP', () => {
    expect(parseAddress('unix:///run/x.sock')).toEqual({ kind: 'unix', path: '/run/x.sock' });
    expect(parseAddress('127.0.0.1:80')).toEqual({ kind: 'tcp', host: '127.0.0.1', port: 80 });
    expect(parseAddress('[::1]:0')).toEqual({ kind: 'tcp', host: '::1', port: 0 });
  });

  it.each(['unix://relative', 'localhost', 'localhost:', ':80', 'a:b:80', 'host:65536', '::1:80'])(
    'refuses %j',
    (text) => {
      expect(() => parseAddress(text)).toThrow(/invalid argument$/);
    },
  );

  it("counts a path's bytes against the kernel's limit", () => {
    const path = `/${'ü'.repeat(53)}`;
    expect(parseAddress(`unix://${path}`)).toEqual({ kind: 'unix', path });
    expect(() => parseAddress(`unix://${path}x`)).toThrow(
      /at most 107 bytes; choose a shorter LONGSHORE_STATE/,
    );
  });

  it('splits host and port', () => {
    expect(splitHostPort('example.org:443')).toEqual({ host: 'example.org', port: 443 });
  });
});

describe('claimSocketPath', () => {
  it('makes the directory for its owner only', async () => {
    const directory = join(scratchDirectory(), 'run');
    await claimSocketPath(join(directory, 'a.sock'));
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  it('removes the socket that a killed process left', async () => {
    const path = join(scratchDirectory(), 'a.sock');
    await killedListener(path);
    expect(existsSync(path)).toBe(true);
    await claimSocketPath(path);
    expect(existsSync(path)).toBe(false);
  });

  it('refuses a socket that somebody listens on, and leaves it', async () => {
    const path = join(scratchDirectory(), 'a.sock');
    const server = createServer().listen(path);
    onTestFinished(() => void server.close());
    await expect(claimSocketPath(path)).rejects.toThrow(/another process listens there/);
    expect(existsSync(path)).toBe(true);
  });

  it('refuses a file that is no socket, and leaves it', async () => {
    const path = join(scratchDirectory(), 'precious');
    writeFileSync(path, 'data');
    await expect(claimSocketPath(path)).rejects.toSatisfy((error) => isKind(error, 'FailedPrecondition'));
    expect(readFileSync(path, 'utf8')).toBe('data');
  });
});

describe('bindPrivately', () => {
  it('puts the mask back when several bind at once', async () => {
    const mask = process.umask();
    const quick = Promise.withResolvers<void>();
    const slow = Promise.withResolvers<void>();
    const binds = [bindPrivately(() => quick.promise), bindPrivately(() => slow.promise)];
    quick.resolve();
    await binds[0];
    expect(process.umask()).toBe(0o177);
    slow.resolve();
    await binds[1];
    expect(process.umask()).toBe(mask);
  });

  it('makes a socket for its owner only, and puts the mask back when binding fails', async () => {
    const mask = process.umask();
    const path = join(scratchDirectory(), 'a.sock');
    const server = createServer();
    onTestFinished(() => void server.close());
    await bindPrivately(() => new Promise<void>((resolve) => server.listen(path, resolve)));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await expect(bindPrivately(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(process.umask()).toBe(mask);
  });
});
