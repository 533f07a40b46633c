import { type Conjunction, objectAdaptor, parseFilters, type Selector } from '@longshore/filters';
import { ReservedLabel } from '@longshore/proto/headers';

const SYMBOLS = { equal: '==', notEqual: '!=', matches: '~=' } as const;

/** What is asked of one node: its own filters, as containerd has them. */
export type NodeFilters = (node: string) => readonly string[] | undefined;

/**
 * Splits filters into what only the edge can judge, `labels."longshore.io/node"`, and what each node does. The answer
 * is undefined for a node that can have no match. Throws InvalidArgument for what is no filter.
 */
export function splitFilters(filters: readonly string[]): NodeFilters {
  const { alternatives } = parseFilters(filters);
  if (!alternatives.some((selectors) => selectors.some(isOfNode))) return () => filters;
  const split = alternatives.map((selectors) => ({
    node: parseFilters([format(selectors.filter(isOfNode))]),
    rest: format(selectors.filter((selector) => !isOfNode(selector))),
  }));
  return (node) => {
    const adaptor = objectAdaptor({}, { [ReservedLabel.Node]: node });
    const matching = split.filter((alternative) => alternative.node.matches(adaptor));
    if (matching.length === 0) return undefined;
    const rests = matching.map(({ rest }) => rest);
    return rests.includes('') ? [] : rests;
  };
}

/**
 * What {@link splitFilters} leaves to the nodes, of all alternatives; undefined when one of them leaves nothing, which is
 * to say that whatever a node has is wanted. Throws InvalidArgument for what is no filter.
 */
export function filtersOfItems(filters: readonly string[]): string[] | undefined {
  const rests = parseFilters(filters).alternatives.map((selectors) =>
    format(selectors.filter((selector) => !isOfNode(selector))),
  );
  return rests.includes('') ? undefined : rests;
}

function isOfNode({ path: [first, ...key] }: Selector): boolean {
  return first === 'labels' && key.join('.') === ReservedLabel.Node;
}

function format(selectors: Conjunction): string {
  return selectors.map(formatSelector).join(',');
}

/** Go's string literals and JSON's agree on what a filter may hold. */
function formatSelector({ path, operator, value }: Selector): string {
  const field = path.map((part) => JSON.stringify(part)).join('.');
  return operator === 'present' ? field : `${field}${SYMBOLS[operator]}${JSON.stringify(value)}`;
}
