import { describe, expect, it } from 'vitest';
import { type Column, tableLines } from './table.ts';

interface Row {
  name: string;
  note: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { header: 'NAME', value: ({ name }) => name },
  { header: 'NOTE', value: ({ note }) => note, shrinks: true },
];

describe('tableLines', () => {
  it('aligns columns by what a terminal shows, and ends no line with blanks', () => {
    const rows = [
      { name: '港', note: '' },
      { name: 'longer', note: 'x' },
    ];
    expect(tableLines(rows, COLUMNS)).toEqual(['NAME     NOTE', '港', 'longer   x']);
  });

  it('cuts only columns that may give way, and only for a terminal', () => {
    const rows = [{ name: 'a-name-that-stays', note: 'n'.repeat(40) }];
    expect(tableLines(rows, COLUMNS)[1]).toHaveLength(17 + 3 + 40);
    expect(tableLines(rows, COLUMNS, 40)[1]).toBe(`a-name-that-stays   ${'n'.repeat(19)}…`);
    expect(tableLines(rows, COLUMNS, 10)[1]).toBe(`a-name-that-stays   ${'n'.repeat(11)}…`);
  });

  it("lets no control character of another's name through", () => {
    const rows = [{ name: '\x1b[2Jboo\u202e', note: 'two\nlines' }];
    expect(tableLines(rows, COLUMNS)[1]).toBe('\\u001b[2Jboo\\u202e   two\\nlines');
  });
});
