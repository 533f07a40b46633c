import { LongshoreError, notFound } from '@longshore/errors';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** The path is there, and has no such method. */
class MethodNotAllowed extends LongshoreError {
  readonly statusCode = 405;

  constructor(request: string, allowed: string) {
    super('Unimplemented', `route ${request}: has only ${allowed}`);
  }
}

interface KnownPath {
  segments: readonly string[];
  methods: Set<string>;
}

/**
 * Answers what is no route: 404, or 405 with the methods that the path has, which `OPTIONS` asks for. To be called before routes are
 * added, outside of what hides them from it.
 */
export function refuseUnknownRoutes(
  app: FastifyInstance,
): (request: FastifyRequest, reply: FastifyReply) => void {
  const known: KnownPath[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    const segments = url.split('/');
    const same = known.find((path) => path.segments.join('/') === url);
    const path = same ?? { segments, methods: new Set() };
    if (!same) known.push(path);
    for (const each of [method].flat()) path.methods.add(each);
  });

  return (request, reply) => {
    const [path = ''] = request.url.split('?', 1);
    const asked = path.split('/');
    const methods = known
      .filter(({ segments }) => matches(segments, asked))
      .flatMap((each) => [...each.methods]);
    if (methods.length === 0) throw notFound(`route ${request.method} ${path}`);
    const allowed = [...new Set([...methods, 'OPTIONS'])].sort().join(', ');
    reply.header('allow', allowed);
    if (request.method === 'OPTIONS') return reply.code(204).send();
    throw new MethodNotAllowed(`${request.method} ${path}`, allowed);
  };
}

function matches(segments: readonly string[], asked: readonly string[]): boolean {
  return (
    segments.length === asked.length &&
    segments.every((segment, n) => (segment.startsWith(':') ? asked[n] !== '' : segment === asked[n]))
  );
}
