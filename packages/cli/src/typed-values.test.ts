import { describe, expect, it } from 'vitest';
import { durationOf, parseDuration, parseTime } from './durations.ts';
import { parseLabelChanges, parseLabels } from './labels.ts';
import { nearest } from './nearest.ts';
import { parseContainerFilters } from './resources/container-filter.ts';
import { eventFilters } from './resources/event-filter.ts';
import { imageFilters } from './resources/image-filter.ts';
import { parseSignal } from './signals.ts';

describe('durations and times', () => {
  it.each([
    ['90', 90_000],
    ['1.5s', 1_500],
    ['1h30m', 5_400_000],
    ['7d', 604_800_000],
  ])('%s is %i ms', (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each(['', 'soon', '5 m', '5x', '-1s'])('%j is none', (text) => {
    expect(() => parseDuration(text)).toThrow('not understood');
  });

  it('are ago, or as they are', () => {
    expect(parseTime('10m', 1_000_000_000)).toEqual(new Date(999_400_000));
    expect(parseTime('2026-01-31T12:00:00Z')).toEqual(new Date('2026-01-31T12:00:00Z'));
    expect(parseTime('1700000000')).toEqual(new Date(1_700_000_000_000));
    expect(() => parseTime('2026-77-99')).toThrow('not understood');
    expect(durationOf(1_500)).toEqual({ seconds: 1n, nanos: 500_000_000 });
  });
});

describe('signals', () => {
  it.each([
    ['9', 9],
    ['KILL', 9],
    ['sigterm', 15],
    ['RTMIN+3', 37],
    ['SIGRTMAX', 64],
  ])('%s is %i', (text, number) => expect(parseSignal(text)).toBe(number));

  it.each(['0', '65', '', 'NOPE', 'RTMIN+99', 'toString'])('%j is none', (text) => {
    expect(() => parseSignal(text)).toThrow('unknown');
  });
});

describe('labels', () => {
  it('are set and removed', () => {
    expect(parseLabelChanges(['a=b=c', 'empty=', 'gone-'])).toEqual({ a: 'b=c', empty: '', gone: null });
    expect(() => parseLabelChanges(['novalue'])).toThrow('neither');
    expect(() => parseLabels(['=x'])).toThrow('not key=value');
  });
});

describe('nearest', () => {
  it('forgives a slip of the keyboard, and guesses nothing where two are as near', () => {
    expect(nearest('wbe', ['web', 'database'])).toBe('web');
    expect(nearest('databse', ['web', 'database'])).toBe('database');
    expect(nearest('web3', ['web1', 'web2'])).toBeUndefined();
    expect(nearest('x', ['y'])).toBeUndefined();
    expect(nearest('completely-other', ['web'])).toBeUndefined();
  });
});

describe('filters', () => {
  it("take Docker's words all together, each of containerd's by itself", () => {
    expect(parseContainerFilters(['label=a=b', 'status=exited', 'name=web'])).toEqual({
      filters: ['labels."a"=="b",id~="web"'],
      statuses: ['stopped'],
    });
    expect(parseContainerFilters(['id==a', 'id==b', 'label=x'])).toEqual({
      filters: ['id==a,labels."x"', 'id==b,labels."x"'],
      statuses: [],
    });
    expect(() => parseContainerFilters(['status=upp'])).toThrow('unknown status');
    expect(() => parseContainerFilters(['constructor=x'])).toThrow('unknown key');
  });

  it('of events know a container by both of its names there', () => {
    expect(eventFilters(['container=web'], 'prod')).toEqual([
      'event.container_id=="web",namespace=="prod"',
      'topic~="^/containers/",event.id=="web",namespace=="prod"',
    ]);
    expect(eventFilters([], undefined)).toEqual([]);
    expect(() => eventFilters(['contaner=web'], undefined)).toThrow('unknown key');
  });

  it('of images know patterns of names', () => {
    expect(imageFilters(['reference=alp*'])).toEqual(['name~="(^|/)alp.*(:[^/]*)?$"']);
  });
});
