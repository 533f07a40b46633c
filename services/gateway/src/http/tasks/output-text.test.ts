import { create } from '@bufbuild/protobuf';
import { type Output, OutputSchema, Stream } from '@longshore/proto/longshore/node/v1/stdio';
import { describe, expect, it } from 'vitest';
import { LogPosition } from './log-position.ts';
import { LineStamper, OutputDecoder } from './output-text.ts';

function output(text: string | Uint8Array, seconds = 1, stream = Stream.STDOUT): Output {
  return create(OutputSchema, {
    stream,
    data: Buffer.from(text as string),
    time: { seconds: BigInt(seconds) },
  });
}

describe('OutputDecoder', () => {
  it('puts characters together that come in two parts, for each stream by itself', () => {
    const decoder = new OutputDecoder();
    const euro = Buffer.from('€');
    const texts = [
      output(euro.subarray(0, 1)),
      output('x', 1, Stream.STDERR),
      output(euro.subarray(1)),
      output(Buffer.from([0xff])),
    ].map((each) => decoder.toJson(each).text);
    expect(texts).toEqual(['', 'x', '€', '�']);
  });

  it('says what is missing before an output', () => {
    const json = new OutputDecoder().toJson({ ...output('a'), skippedBytes: 7n });
    expect(json).toEqual({ stream: 'stdout', time: '1970-01-01T00:00:01Z', text: 'a', skipped_bytes: 7 });
  });
});

describe('LineStamper', () => {
  it('puts the time in front of lines, not of what goes on with one', () => {
    const stamper = new LineStamper();
    const stamped = [output('a\nb'), output('!\n', 2, Stream.STDERR), output('c\n\n', 3)].map((each) =>
      stamper.stamp(each),
    );
    expect(Buffer.concat(stamped).toString()).toBe(
      '1970-01-01T00:00:01Z a\n1970-01-01T00:00:01Z b1970-01-01T00:00:02Z !\nc\n1970-01-01T00:00:03Z \n',
    );
  });
});

describe('LogPosition', () => {
  const outputs = [output('one\n'), output('two\n', 2), output('and more\n', 2), output('three\n', 3)];

  it.each([0, 1, 2, 3])('goes on behind the output %i, also in the middle of a time', (last) => {
    const before = LogPosition.start();
    for (const each of outputs.slice(0, last + 1)) before.advance(each);
    const after = LogPosition.after(before.id);
    // Read again are all from that time on.
    const again = outputs.filter(({ time }) => time!.seconds >= after.since.seconds);
    const left = again.map((each) => after.advance(each)).filter((each) => each !== undefined);
    expect(left.map(({ data }) => Buffer.from(data).toString())).toEqual(
      outputs.slice(last + 1).map(({ data }) => Buffer.from(data).toString()),
    );
  });

  it('leaves nothing out when that time is gone from the log', () => {
    const position = LogPosition.after('1000000000.99');
    expect(position.advance(output('two\n', 2))).toMatchObject({ time: { seconds: 2n } });
  });

  it.each(['', '1', '1.x', 'a.1', '1.-1'])('refuses %j', (id) => {
    expect(() => LogPosition.after(id)).toThrow(expect.objectContaining({ kind: 'InvalidArgument' }));
  });
});
