import type { Message } from '@bufbuild/protobuf';
import { failedPrecondition } from '@longshore/errors';
import { recordTag } from '@longshore/kit';
import { Header } from '@longshore/proto/headers';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RequestCall } from './request-call.ts';

/** Answers 304 with nothing when the caller has this version already; the body tells nothing but what the record has. */
export function sendTagged(
  request: FastifyRequest,
  reply: FastifyReply,
  record: Message,
  body: object,
): FastifyReply {
  const tag = tagReply(reply, record);
  if (names(request.headers['if-none-match'], tag)) return reply.code(304).send();
  return reply.send(body);
}

/** Tells the version of the record, for `If-Match`. */
export function tagReply(reply: FastifyReply, record: Message): string {
  const tag = recordTag(record);
  reply.header('etag', `"${tag}"`);
  return tag;
}

/** Adds what the caller says in `If-Match`, for the owner of the record to judge under its lock. */
export function ifMatch<C extends RequestCall>(request: FastifyRequest, call: C): C {
  const given = request.headers['if-match'];
  if (given === undefined || given.trim() === '*') return call;
  const tags = tagsIn(given).filter(({ isWeak }) => !isWeak);
  if (tags.length === 0) throw failedPrecondition('header If-Match names no version that can be compared');
  return { ...call, headers: { ...call.headers, [Header.IfMatch]: tags.map(({ tag }) => tag).join(' ') } };
}

/** Weak ones are fine for what is only read. */
export function names(header: string | string[] | undefined, tag: string): boolean {
  if (header === undefined) return false;
  const [first = ''] = [header].flat();
  return first.trim() === '*' || tagsIn(first).some((each) => each.tag === tag);
}

function tagsIn(header: string): { tag: string; isWeak: boolean }[] {
  const found = header.matchAll(/(W\/)?"([!#-~]*)"/g);
  return Array.from(found, ([, weak, tag = '']) => ({ tag, isWeak: weak !== undefined }));
}
