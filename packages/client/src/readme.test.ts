import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');

/** Names that `index.ts` gives, those of whole files too. */
function exported(): string[] {
  const index = read('./index.ts');
  const listed = index
    .matchAll(/export (?:type )?\{([^}]*)\}/g)
    .flatMap(([, names = '']) => names.split(','));
  const whole = index
    .matchAll(/export \* from '(.*)'/g)
    .flatMap(([, path = '']) =>
      read(path).matchAll(/^export (?:\w+ )*(?:function|const|class|interface|type) (\w+)/gm),
    )
    .map(([, name = '']) => name);
  return [...listed, ...whole].map((name) => name.replace(/\btype /, '').trim()).filter(Boolean);
}

it('has all that is exported in the table of its README', () => {
  const table = read('../README.md').split('## What is exported')[1]!.split('\n## ')[0]!;
  const names = exported();
  expect(names).toContain('Client');
  expect(names).toContain('withNewSpec');
  expect(names.filter((name) => !table.includes(`\`${name}\``))).toEqual([]);
  const shown = [...table.matchAll(/`(\w+)`/g)].map(([, name]) => name);
  expect(shown.filter((name) => !names.includes(name!))).toEqual([]);
});
