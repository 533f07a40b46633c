import { describe, expect, it } from 'vitest';
import { endpointOf } from './endpoint.ts';

describe('endpointOf', () => {
  it.each([
    ['ghcr.io', 'https://ghcr.io'],
    ['docker.io', 'https://registry-1.docker.io'],
    ['registry.example:5000', 'https://registry.example:5000'],
    ['localhost:5000', 'http://localhost:5000'],
    ['127.0.0.1:5000', 'http://127.0.0.1:5000'],
    ['[::1]:5000', 'http://[::1]:5000'],
    ['127.0.0.1.example', 'https://127.0.0.1.example'],
    ['localhost.example', 'https://localhost.example'],
  ])('%s is at %s', (host, endpoint) => {
    expect(endpointOf(host, false)).toBe(endpoint);
  });

  it('speaks HTTP when asked to', () => {
    expect(endpointOf('registry.example', true)).toBe('http://registry.example');
  });
});
