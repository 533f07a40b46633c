import { UsageError } from '../usage-error.ts';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/** Bytes as Docker takes them: `512m`, `1.5g`, `64KiB`; powers of 1024. `option` names what was typed in the UsageError. */
export function parseBytes(text: string, option: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?) *([kmgt]?)(?:i?b)?$/i.exec(text) ?? [];
  if (number === undefined)
    throw new UsageError(`${option} "${text}": no size`, 'Sizes are written as in 512m, 2g.');
  return Math.round(Number(number) * UNITS[unit!.toLowerCase()]!);
}

/** As {@link parseBytes}; -1 for no limit. */
export function parseLimit(text: string, option: string): number {
  return text === '-1' ? -1 : parseBytes(text, option);
}

/** A whole number, -1 too where that means no limit. Throws UsageError. */
export function parseCount(text: string, option: string): number {
  if (/^(-1|\d{1,15})$/.test(text)) return Number(text);
  throw new UsageError(`${option} "${text}": no whole number`);
}
