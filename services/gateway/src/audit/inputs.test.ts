import { describe, expect, it } from 'vitest';
import { changes, RPC_RULES } from '../access/rpc-rules.ts';
import { inputOf } from './inputs.ts';

describe('the requests that the audit log reads', () => {
  it('are those of every method of the edge that changes something', () => {
    const paths = Object.entries(RPC_RULES).flatMap(([service, methods]) =>
      Object.entries(methods).flatMap(([method, rule]) => (changes(rule) ? [`/${service}/${method}`] : [])),
    );
    expect(paths.length).toBeGreaterThan(40);
    expect(paths.filter((path) => inputOf(path) === undefined)).toEqual([]);
  });
});
