import { expect, it } from 'vitest';
import { expandShortName } from './short-name.ts';

it.each([
  ['redis', 'docker.io/library/redis:latest'],
  ['redis:7', 'docker.io/library/redis:7'],
  ['grafana/loki', 'docker.io/grafana/loki:latest'],
  ['ghcr.io/a/b', 'ghcr.io/a/b:latest'],
  ['localhost/a', 'localhost/a:latest'],
  ['127.0.0.1:5000/a:1', '127.0.0.1:5000/a:1'],
  ['host:5000/a', 'host:5000/a:latest'],
  ['redis@sha256:00', 'docker.io/library/redis@sha256:00'],
])('expandShortName(%s) is %s', (name, full) => {
  expect(expandShortName(name)).toBe(full);
});
