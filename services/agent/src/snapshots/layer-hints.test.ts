import { describe, expect, it } from 'vitest';
import { LayerHints } from './layer-hints.ts';

const hint = (generation: string) => ({ generation, ancestors: [] });

describe('LayerHints', () => {
  it('keeps namespaces and snapshotters apart', () => {
    const hints = new LayerHints();
    hints.set('a', 'overlayfs', 'name', hint('1'));
    expect(hints.get('a', 'overlayfs', 'name')).toEqual(hint('1'));
    expect(hints.get('b', 'overlayfs', 'name')).toBeUndefined();
    expect(hints.get('a', 'native', 'name')).toBeUndefined();
    hints.delete('a', 'overlayfs', 'name');
    expect(hints.get('a', 'overlayfs', 'name')).toBeUndefined();
  });

  it('forgets what was not used for longest', () => {
    const hints = new LayerHints();
    for (let index = 0; index < 4_096; index++) hints.set('a', 'overlayfs', `${index}`, hint(`${index}`));
    hints.get('a', 'overlayfs', '0');
    hints.set('a', 'overlayfs', 'new', hint('new'));
    expect(hints.get('a', 'overlayfs', '0')).toBeDefined();
    expect(hints.get('a', 'overlayfs', '1')).toBeUndefined();
    expect(hints.get('a', 'overlayfs', 'new')).toBeDefined();
  });
});
