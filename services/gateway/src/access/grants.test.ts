import { describe, expect, it } from 'vitest';
import { Grants } from './grants.ts';
import { checkBinding, type Role, type RoleBinding } from './role.ts';

const alice = { kind: 'certificate', name: 'user/alice', groups: ['team'] } as const;

function grants(...bindings: [subject: string, role: Role, namespace: string][]): Grants {
  return new Grants(bindings.map(([subject, role, namespace]) => ({ subject, role, namespace })));
}

describe('Grants', () => {
  it.each([
    ['viewer', [true, false, false]],
    ['operator', [true, true, false]],
    ['admin', [true, true, true]],
    ['host', [false, false, false]],
  ] as const)('lets a %s read, write and decide: %j', (role, expected) => {
    const given = grants(['user/alice', role, 'a']);
    expect((['read', 'write', 'admin'] as const).map((need) => given.allows(alice, need, 'a'))).toEqual(
      expected,
    );
    expect(given.allowsHost(alice, 'a')).toBe(role === 'host');
  });

  it("knows a namespace by its whole name: never by another's beginning", () => {
    const given = grants(['user/alice', 'admin', 'team']);
    for (const other of ['team-b', 'tea', 'teamb', 'Team', '', '*', 'team ']) {
      expect(given.allows(alice, 'read', other)).toBe(false);
    }
  });

  it('takes a role in the whole fleet for every namespace, and not the other way round', () => {
    expect(grants(['user/alice', 'viewer', '*']).allows(alice, 'read', 'any')).toBe(true);
    expect(grants(['user/alice', 'admin', 'a']).allows(alice, 'read', '*')).toBe(false);
  });

  it('knows groups, which are not users of the same name', () => {
    expect(grants(['group/team', 'viewer', 'a']).allows(alice, 'read', 'a')).toBe(true);
    expect(grants(['user/team', 'viewer', 'a']).allows(alice, 'read', 'a')).toBe(false);
    const posing = { kind: 'oidc', name: 'oidc/x#y', groups: ['../user/alice', 'user/alice'] } as const;
    expect(grants(['user/alice', 'admin', '*']).allows(posing, 'read', 'a')).toBe(false);
  });
});

describe('checkBinding', () => {
  const binding = (subject: string, namespace = 'a'): RoleBinding => ({ subject, namespace, role: 'viewer' });

  it.each(['user/alice', 'service/ci', 'group/a b', 'oidc/https://id.example#1', 'token/0a'])(
    'takes %s',
    (subject) => expect(() => checkBinding(binding(subject))).not.toThrow(),
  );

  it.each([
    '',
    'alice',
    'local',
    'node/n1',
    'user/',
    'root/x',
    'user/a\nb',
    'user/é',
    `user/${'a'.repeat(2000)}`,
  ])('refuses %j', (subject) => expect(() => checkBinding(binding(subject))).toThrow(/^subject/));

  it.each(['', 'a b', 'a/*', '**'])('refuses the namespace %j', (namespace) =>
    expect(() => checkBinding(binding('user/a', namespace))).toThrow(/invalid argument$/),
  );
});
