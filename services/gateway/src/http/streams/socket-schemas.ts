import { answersNothing } from '../schemas.ts';
import { SUBPROTOCOL } from './channel-protocol.ts';

export const extent = {
  type: 'integer',
  minimum: 1,
  maximum: 65_535,
  description: 'Of the terminal.',
} as const;

export const answersSocket = {
  101: { description: `A WebSocket that speaks ${SUBPROTOCOL}.`, type: 'null' },
  default: answersNothing.default,
};
