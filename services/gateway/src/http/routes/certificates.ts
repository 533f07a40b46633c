import { invalidArgument } from '@longshore/errors';
import type { FastifyInstance } from 'fastify';
import type { Backends } from '../backends.ts';
import { callOf } from '../request-call.ts';
import { ofFleet } from '../route-rule.ts';
import { answersNothing } from '../schemas.ts';

interface Revocation {
  serial?: string;
  identity?: string;
}

const revokeSchema = {
  summary: 'Makes a certificate, or all of an identity so far, worthless everywhere within a minute',
  operationId: 'revokeCertificates',
  body: {
    type: 'object',
    additionalProperties: false,
    description: 'One of the two.',
    properties: {
      serial: {
        type: 'string',
        pattern: '^[0-9a-f]{1,64}$',
        description: 'Serial number in lower-case hexadecimal, without leading zeros.',
      },
      identity: { type: 'string', description: 'e.g. `node/n1`, `user/alice`.' },
    },
  },
  response: answersNothing,
};

export function certificateRoutes(app: FastifyInstance, { certificates }: Backends): void {
  app.post<{ Body: Revocation }>(
    '/certificates/revoke',
    { schema: revokeSchema, config: ofFleet('admin') },
    async (request, reply) => {
      await certificates.revoke({ what: whatOf(request.body) }, callOf(request, reply, {}));
      return reply.code(204).send();
    },
  );
}

function whatOf({ serial, identity }: Revocation) {
  if (serial !== undefined && identity === undefined) return { case: 'serial', value: serial } as const;
  if (identity !== undefined && serial === undefined) return { case: 'identity', value: identity } as const;
  throw invalidArgument('body: want either serial or identity');
}
