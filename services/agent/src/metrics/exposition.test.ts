import { expect, it } from 'vitest';
import { Exposition, labelText } from './exposition.ts';

it('keeps the values of a series together, and escapes labels', () => {
  const exposition = new Exposition();
  const a = { name: 'container_a_total', help: 'A', type: 'counter' as const };
  const b = { name: 'container_b_bytes', help: 'B', type: 'gauge' as const };
  exposition.add(a, labelText({ container_id: 'x"y\\\n' }), { value: 1n });
  exposition.add(b, 'container_id="x"', { labels: { cpu: '0' }, value: 2 });
  exposition.add(a, 'container_id="z"', { value: 3n });
  expect(exposition.toString().split('\n')).toEqual([
    '# HELP container_a_total A',
    '# TYPE container_a_total counter',
    'container_a_total{container_id="x\\"y\\\\\\n"} 1',
    'container_a_total{container_id="z"} 3',
    '',
    '# HELP container_b_bytes B',
    '# TYPE container_b_bytes gauge',
    'container_b_bytes{container_id="x",cpu="0"} 2',
    '',
  ]);
});
