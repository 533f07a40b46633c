import { expect, it } from 'vitest';
import { nameNode } from './name-node.ts';

it.each([
  ['8', 'database or disk is full', 'node "n2": database or disk is full'],
  ['2', 'mkdir /run/x: no space left on device', 'node "n2": mkdir /run/x: no space left on device'],
  ['5', 'container "a": not found', 'container "a": not found'],
])('names the node in a status that tells of its exhaustion: %s %s', (status, message, expected) => {
  const trailers = { 'grpc-status': status, 'grpc-message': encodeURI(message) };
  nameNode(trailers, 'n2');
  expect(decodeURI(trailers['grpc-message'])).toBe(expected);
});
