import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { LongshoreError } from '@longshore/errors';
import {
  AuthRequestSchema,
  AuthResponseSchema,
  AuthType,
} from '@longshore/proto/containerd/types/transfer/registry';
import type { CredentialSource } from '@longshore/registry';
import { unlessAborted } from '../unless-aborted.ts';
import type { NodeStream } from './stream-table.ts';

/** Asks a client for its credentials over a stream. Source: containerd core/transfer/registry/registry.go. */
export function credentialsFrom(stream: NodeStream): CredentialSource {
  return async ({ host, reference, wwwAuthenticate }, signal) => {
    const request = create(AuthRequestSchema, { host, reference, wwwauthenticate: [...wwwAuthenticate] });
    await stream.send({ typeUrl: AuthRequestSchema.typeName, value: toBinary(AuthRequestSchema, request) });
    // A client that does not answer must not outlast the call that it made.
    const answer = await unlessAborted(stream.receive(), signal);
    if (!answer) {
      throw new LongshoreError('Unauthenticated', `credentials for ${host}: the client's stream has ended`);
    }
    const { authType, username, secret } = fromBinary(AuthResponseSchema, answer.value);
    switch (authType) {
      case AuthType.CREDENTIALS:
        return { kind: 'password', username, password: secret };
      case AuthType.REFRESH:
        return { kind: 'refresh', token: secret };
      case AuthType.NONE:
        return undefined;
      default:
        throw new LongshoreError('Unimplemented', `credentials of type ${authType}: not implemented`);
    }
  };
}
