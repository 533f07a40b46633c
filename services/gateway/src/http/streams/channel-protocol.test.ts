import { describe, expect, it } from 'vitest';
import { Channel, frame, parseClientMessage } from './channel-protocol.ts';

describe('parseClientMessage', () => {
  it('takes input, its end, and sizes', () => {
    const input = frame(Channel.Stdin, Buffer.from('a'));
    expect(parseClientMessage(input, true)).toEqual({ kind: 'stdin', data: Buffer.from('a') });
    expect(parseClientMessage(Buffer.from([255, 0]), true)).toEqual({ kind: 'close' });
    const resize = frame(Channel.Resize, Buffer.from('{"width":80,"height":24}'));
    expect(parseClientMessage(resize, true)).toEqual({ kind: 'resize', width: 80, height: 24 });
  });

  it.each([
    ['text', Buffer.from([0]), false],
    ['an empty message', Buffer.alloc(0), true],
    ["a server's channel", Buffer.from([1, 1]), true],
    ['an unknown channel', Buffer.from([9]), true],
    ['the end of an output', Buffer.from([255, 1]), true],
    ['a size that is no JSON', frame(Channel.Resize, Buffer.from('80x24')), true],
    ['a size of nothing', frame(Channel.Resize, Buffer.from('null')), true],
    ['a size beyond all screens', frame(Channel.Resize, Buffer.from('{"width":65536,"height":1}')), true],
  ])('refuses %s', (_, message, isBinary) => {
    expect(() => parseClientMessage(message, isBinary)).toThrow(
      expect.objectContaining({ kind: 'InvalidArgument' }),
    );
  });
});
