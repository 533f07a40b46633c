import { durationMs, timestampFromDate } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '@longshore/errors';
import type { Handlers } from '@longshore/kit';
import { type AccessService, Role as RoleProto } from '@longshore/proto/longshore/access/v1/access';
import type { AccessAdmin } from '../access/access-admin.ts';
import type { AccessPage } from '../access/access-page.ts';
import { ROLES, type Role, type RoleBinding } from '../access/role.ts';
import type { BindingRecord, TokenRecord } from '../storage/postgres/access-repository.ts';
import { callerOf } from './caller-of.ts';

const TO_PROTO: Readonly<Record<Role, RoleProto>> = {
  viewer: RoleProto.VIEWER,
  operator: RoleProto.OPERATOR,
  admin: RoleProto.ADMIN,
  host: RoleProto.HOST,
};

/** `longshore.access.v1.AccessService`, for calls that came through the door. */
export function accessRpc(admin: AccessAdmin): Handlers<typeof AccessService> {
  return {
    async whoAmI(_, call) {
      const { bindings, groups, ...identity } = await admin.whoAmI(callerOf(call));
      return { ...identity, groups: [...groups], bindings: bindings.map(bindingToProto) };
    },

    async createToken({ namespace, role, description, ttl }, call) {
      const ttlMs = ttl && durationMs(ttl);
      const request = { namespace, role: roleFromProto(role), description, ttlMs };
      const { token, secret } = await admin.createToken(callerOf(call), request);
      return { token: tokenToProto(token), secret };
    },

    async listTokens(request) {
      const { items, cursor = '' } = await admin.listTokens(pageFromProto(request));
      return { tokens: items.map(tokenToProto), nextPageToken: cursor };
    },

    async revokeToken({ id, namespace }) {
      await admin.revokeToken(id, namespace || undefined);
      return {};
    },

    async createBinding(request, call) {
      return { binding: recordToProto(await admin.bind(callerOf(call), bindingFromProto(request))) };
    },

    async listBindings(request) {
      const { items, cursor = '' } = await admin.listBindings(pageFromProto(request));
      return { bindings: items.map(recordToProto), nextPageToken: cursor };
    },

    async deleteBinding(request) {
      await admin.unbind(bindingFromProto(request));
      return {};
    },
  };
}

function pageFromProto(page: { namespace: string; pageSize: number; pageToken: string }): AccessPage {
  const { namespace, pageSize, pageToken } = page;
  return {
    namespace: namespace || undefined,
    limit: pageSize === 0 ? undefined : pageSize,
    cursor: pageToken,
  };
}

function roleFromProto(role: RoleProto): Role {
  const found = ROLES.find((name) => TO_PROTO[name] === role);
  if (found === undefined) throw invalidArgument(`role ${role}: want one of ${ROLES.join(', ')}`);
  return found;
}

function bindingFromProto(request: { subject: string; namespace: string; role: RoleProto }): RoleBinding {
  const { subject, namespace, role } = request;
  return { subject, namespace, role: roleFromProto(role) };
}

function bindingToProto({ subject, namespace, role }: RoleBinding) {
  return { subject, namespace, role: TO_PROTO[role] };
}

function recordToProto(record: BindingRecord) {
  const { createdBy, createdAt } = record;
  return { ...bindingToProto(record), createdBy, createdAt: timestampFromDate(createdAt) };
}

function tokenToProto({ createdAt, expiresAt, ...token }: TokenRecord) {
  return { ...token, createdAt: timestampFromDate(createdAt), expiresAt: timestampFromDate(expiresAt) };
}
