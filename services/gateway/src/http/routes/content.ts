import { Readable } from 'node:stream';
import { internal, invalidArgument } from '@longshore/errors';
import { parseDigest } from '@longshore/oci';
import type { Info } from '@longshore/proto/containerd/services/content/v1/content';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Backends } from '../backends.ts';
import { parseRange } from '../byte-range.ts';
import { names, sendTagged } from '../entity-tag.ts';
import { labelUpdate } from '../labels.ts';
import { forPage, pageOf, pageQuery } from '../page.ts';
import { callOf, openCallOf } from '../request-call.ts';
import { inNamespace } from '../route-rule.ts';
import { typed } from '../schema-types.ts';
import {
  answers,
  answersCreated,
  answersNothing,
  fields,
  filterQuery,
  labelChanges,
  namespaceQuery,
  nodeQuery,
  object,
  pageSchema,
  problems,
  text,
  texts,
  time,
} from '../schemas.ts';
import { timeToJson } from '../time.ts';
import { uploadContent } from '../upload-content.ts';

const BYTES = 'application/octet-stream';

const scope = { namespace: namespaceQuery, node: nodeQuery } as const;

const params = { type: 'object', required: ['digest'], properties: { digest: text } } as const;

const contentSchema = object({
  digest: text,
  size: { type: 'integer' },
  labels: texts,
  created_at: time,
  updated_at: time,
});

const listSchema = {
  summary: 'Lists the content of a namespace, of a node or of the fleet',
  operationId: 'listContent',
  querystring: fields({ ...scope, filter: filterQuery, ...pageQuery }),
  response: answers('The content, in byte order of the digests.', pageSchema(contentSchema)),
} as const;

const getSchema = {
  summary: 'Tells of a blob',
  operationId: 'getContent',
  params,
  querystring: fields(scope),
  response: answers('The record.', contentSchema),
} as const;

const updateSchema = {
  summary: 'Changes labels of a blob',
  operationId: 'updateContent',
  params,
  querystring: fields(scope),
  body: fields({ labels: labelChanges }, ['labels']),
  response: answers('The record, as it is now.', contentSchema),
} as const;

const deleteSchema = {
  summary: 'Deletes a blob from the namespace',
  operationId: 'deleteContent',
  params,
  querystring: fields(scope),
  response: answersNothing,
} as const;

const bytesOf = (description: string) => ({ description, content: { [BYTES]: { schema: {} } } });

const readSchema = {
  summary: 'Answers the bytes of a blob, or a range of them by the header Range',
  operationId: 'readContent',
  params,
  querystring: fields(scope),
  response: { 200: bytesOf('All of it.'), 206: bytesOf('The range.'), ...problems },
} as const;

const writeSchema = {
  summary: 'Stores a blob; its bytes must be those of the digest',
  operationId: 'writeContent',
  description: 'A repetition goes on where the last one ended. What nothing refers to is collected in time.',
  params,
  querystring: fields(scope),
  consumes: [BYTES],
  response: { ...answersCreated('It is stored.', contentSchema), ...answers('It was there.', contentSchema) },
} as const;

export function contentRoutes(app: FastifyInstance, backends: Backends): void {
  const routes = typed(app);
  const clientOf = async (node: string) => (await backends.in(node)).content;

  routes.get('/content', { schema: listSchema, config: inNamespace('read') }, async (request, reply) => {
    const { node, filter = [] } = request.query;
    const call = forPage(openCallOf(request, reply, { node }), request.query);
    const lists = (await clientOf(node)).list({ filters: filter }, call);
    async function* infos() {
      for await (const { info } of lists) yield* info;
    }
    const page = await pageOf(infos(), ({ digest }) => [digest], request.query);
    return { ...page, items: page.items.map(infoToJson) };
  });

  routes.get(
    '/content/:digest',
    { schema: getSchema, config: inNamespace('read') },
    async (request, reply) => {
      const { node } = request.query;
      const digest = parseDigest(request.params.digest);
      const { info } = await (await clientOf(node)).info({ digest }, callOf(request, reply, { node }));
      return answer(request, reply, info);
    },
  );

  routes.patch(
    '/content/:digest',
    { schema: updateSchema, config: inNamespace('write') },
    async (request, reply) => {
      const { node } = request.query;
      const digest = parseDigest(request.params.digest);
      const { labels, paths } = labelUpdate(request.body.labels);
      if (paths.length === 0) throw invalidArgument('body: nothing to change');
      const wanted = { info: { digest, labels }, updateMask: { paths } };
      const { info } = await (await clientOf(node)).update(wanted, callOf(request, reply, { node }));
      return answer(request, reply, info);
    },
  );

  routes.delete(
    '/content/:digest',
    { schema: deleteSchema, config: inNamespace('write') },
    async (request, reply) => {
      const { node } = request.query;
      const digest = parseDigest(request.params.digest);
      await (await clientOf(node)).delete({ digest }, callOf(request, reply, { node }));
      return reply.code(204).send();
    },
  );

  for (const method of ['GET', 'HEAD'] as const) {
    routes.route({
      method,
      url: '/content/:digest/blob',
      // Its own answer to HEAD reads nothing.
      exposeHeadRoute: false,
      schema: method === 'GET' ? readSchema : { ...readSchema, operationId: 'headContent' },
      config: inNamespace('read'),
      handler: async (request, reply) => {
        const { node } = request.query;
        const digest = parseDigest(request.params.digest);
        const client = await clientOf(node);
        const { info } = await client.info({ digest }, callOf(request, reply, { node }));
        const sizeBytes = Number(info?.size ?? 0);
        // It is somebody else's bytes: no browser is to take them for a page of ours.
        reply.type(BYTES).headers({
          etag: `"${digest}"`,
          'accept-ranges': 'bytes',
          'x-content-type-options': 'nosniff',
          'content-disposition': 'attachment',
        });
        if (names(request.headers['if-none-match'], digest)) return reply.code(304).send();
        const isSame = names(request.headers['if-range'] ?? '*', digest);
        const range = isSame ? parseRange(request.headers.range, sizeBytes) : undefined;
        if (range === 'none') {
          return reply.code(416).header('content-range', `bytes */${sizeBytes}`).send();
        }
        const { start, end } = range ?? { start: 0, end: sizeBytes };
        if (range) reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${sizeBytes}`);
        reply.header('content-length', end - start);
        if (request.method === 'HEAD' || start === end) return reply.send();
        const read = client.read(
          { digest, offset: BigInt(start), size: BigInt(end - start) },
          openCallOf(request, reply, { node }),
        );
        async function* bytes() {
          for await (const { data } of read) yield data;
        }
        return reply.send(Readable.from(bytes(), { objectMode: false }));
      },
    });
  }

  app.register(async (uploads) => {
    // Only here: nothing else takes a body that is not looked at.
    uploads.removeAllContentTypeParsers();
    uploads.addContentTypeParser(BYTES, (_, payload, done) => done(null, payload));
    typed(uploads).put(
      '/content/:digest/blob',
      { schema: writeSchema, config: inNamespace('write') },
      async (request, reply) => {
        const { node } = request.query;
        const digest = parseDigest(request.params.digest);
        const client = await clientOf(node);
        const body = request.body as AsyncIterable<Buffer> | undefined;
        if (body === undefined) throw invalidArgument(`body: want one of the type ${BYTES}`);
        const isNew = await uploadContent(client, openCallOf(request, reply, { node }), digest, body);
        const { info } = await client.info({ digest }, callOf(request, reply, { node }));
        reply.code(isNew ? 201 : 200).header('location', `/v1/content/${digest}`);
        return answer(request, reply, info);
      },
    );
  });
}

function answer(request: FastifyRequest, reply: FastifyReply, info: Info | undefined) {
  if (!info) throw internal('content: none was answered');
  return sendTagged(request, reply, info, infoToJson(info));
}

function infoToJson({ digest, size, labels, createdAt, updatedAt }: Info) {
  return {
    digest,
    size: Number(size),
    labels,
    created_at: timeToJson(createdAt),
    updated_at: timeToJson(updatedAt),
  };
}
