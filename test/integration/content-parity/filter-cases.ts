import { kindOf, messageOf } from '@longshore/errors';
import { type Cases, KEPT } from './side.ts';

/** Of content labelled `colour` (`size`), one label at most. */
const FILTERS = [
  'labels."colour"==red',
  '"labels".colour==red',
  'labels.colour=="r\\x65d"',
  'labels.colour=="r\\145d"',
  'labels.colour=="r\\u0065d"',
  'labels.colour=="r\\U00000065d"',
  'labels.colour=="r\\xc3\\xb6tlich"',
  'labels.colour==rötlich',
  'labels.colour==red,labels.size==5',
  'labels.size==5,labels.colour!=""',
  ' labels.colour ==  red',
  'labels.colour==red, digest',
  'labels.colour==red ,digest',
  'labels.colour==red\t',
  'labels.colour==red\n',
  'labels.colour=="re\nd"',
  'labels.colour=="red',
  'labels.colour=="re\\d"',
  'labels.colour=="\\777"',
  'labels.colour==/red/',
  'labels.colour==|red|',
  "labels.colour=='red'",
  'labels.colour==`red`',
  'labels.colour=red',
  'labels.colour===red',
  'labels.colour==.red',
  'labels.colour==red.x',
  'labels.colour==re=d',
  'labels.colour==~red',
  'labels.colour==-red',
  'labels.colour==a\u00a0b',
  'labels.colour==a\u200bb',
  'labels.colour<red',
  'labels.colour red',
  'labels',
  'labels.',
  'labels..colour',
  'labels."".colour',
  'labels-colour',
  '.labels',
  ',',
  ',labels.colour',
  'labels.colour,',
  'labels.colour,,labels.size',
  'digest',
  'digest.more',
  'nothing',
  'nothing!=x',
  'labels.nothing!=""',
  'labels.nothing==""',
  'labels.nothing~=^$',
  'labels.colour~=/^r/',
  'labels.colour~=|^r|',
  'labels.colour~=/\\/|^r/',
  'labels.colour~=(?i)^RED$',
  'labels.colour~="^.{3}$"',
  'labels.colour~="^r.tlich$"',
  'labels.colour~="\\\\p{L}{7}"',
  'labels.colour~="r(?P<x>e)d"',
  'labels.colour~="(?s-i:R).*"',
  'labels.colour~="\\\\bred\\\\b"',
  'labels.colour~="\\\\Ared\\\\z"',
  'labels.colour~="red\\\\Z"',
  'labels.colour~="\\\\Qred\\\\E"',
  'labels.colour~="[[:^alpha:]]"',
  'labels.colour~="^[^\\\\W\\\\d]+$"',
  'labels.colour~="(?=r)"',
  'labels.colour~="(r)\\\\1"',
  'labels.colour~="a{1001}|r"',
  'labels.colour~="a**|r"',
  'labels.colour~="(?>r)"',
  'labels.colour~=""',
];

/** Filters, also those that are none: with the messages that say why. */
export const FILTER_CASES: Cases = {
  'filters of every form': async (side) => {
    const put = (text: string, labels: Record<string, string>) => side.put(text, { ...labels, ...KEPT });
    for (const colour of ['red', 'rötlich', 'blue']) await put(`filtered ${colour}`, { colour });
    await put('filtered by size', { size: '5' });
    return Promise.all(
      FILTERS.map(async (filter) => {
        // containerd marks the place by one byte, which cuts other characters.
        const problemOf = /^[\0-\x7f]*$/.test(filter) ? messageOf : kindOf;
        return [filter, await side.list(filter).catch(problemOf)];
      }),
    );
  },
};
