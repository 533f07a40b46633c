import { LongshoreError } from '@longshore/errors';
import { describe, expect, it } from 'vitest';
import { formatJoinToken, newJoinToken } from '../domain/join-token.ts';
import { refusal } from '../testing/refusal.ts';
import { joinRpc } from './join-rpc.ts';
import { nodesRpc } from './nodes-rpc.ts';

const token = formatJoinToken(newJoinToken(Buffer.alloc(32)));
const REPORT = { id: 'n1', address: '', labels: {}, machineId: 'm1', softwareVersion: '0.1.0' };

function letIn(): never {
  throw new LongshoreError('Internal', 'was let in');
}

describe('a machine that joins', () => {
  const { join } = joinRpc({ join: letIn } as never, '', {});

  it.each([
    [{}, 'Internal: was let in'],
    [{ address: '10.0.0.1:7020' }, 'Internal: was let in'],
    [{ machineId: '' }, 'InvalidArgument: node: machine_id must be set: invalid argument'],
    [{ address: '10.0.0.1' }, 'InvalidArgument: address "10.0.0.1": want host:port: invalid argument'],
    [
      { address: 'unix:///run/a.sock' },
      'InvalidArgument: address "unix:///run/a.sock": want host:port: invalid argument',
    ],
  ])('that says %j is answered %s', async (change, answer) => {
    const request = { token, certificateRequest: '', node: { ...REPORT, ...change } };
    expect(await refusal(join!(request as never, {} as never))).toBe(answer);
  });
});

describe("a node's certificate", () => {
  const rpc = nodesRpc({ register: letIn, get: letIn } as never, {} as never);
  const call = {
    peer: { kind: 'node', id: 'n1' },
    requireNode: (id: string) => {
      if (id !== 'n1') throw new LongshoreError('PermissionDenied', id);
    },
  };

  it('registers no socket of another host', async () => {
    const register = (address: string) =>
      refusal(rpc.register!({ node: { ...REPORT, address } } as never, call as never));
    expect(await register('unix:///run/a.sock')).toMatch(/^InvalidArgument: address "unix/);
    expect(await register('10.0.0.1:7020')).toBe('Internal: was let in');
  });

  it('reads what is known of its own node only', async () => {
    const get = (id: string) => refusal(rpc.get!({ id } as never, call as never));
    expect(await get('n1')).toBe('Internal: was let in');
    expect(await get('n2')).toMatch(/^PermissionDenied/);
  });
});
