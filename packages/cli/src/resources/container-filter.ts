import { nearest } from '../nearest.ts';
import { UsageError } from '../usage-error.ts';
import { type ContainerStatus, STATUS_NAMES } from './statuses.ts';

/** What lists of containers are narrowed by. */
export interface ContainerFilter {
  /** In containerd's language, for the server: one of them has to match. */
  filters: string[];
  /** Of the task; empty: all. */
  statuses: ContainerStatus[];
}

/** Docker's words for what its users filter by, in containerd's language. */
const DOCKER: Record<string, (value: string) => string> = {
  id: (value) => `id~=${JSON.stringify(`^${escaped(value)}`)}`,
  name: (value) => `id~=${JSON.stringify(value)}`,
  ancestor: (value) => `image~=${JSON.stringify(escaped(value))}`,
  image: (value) => `image~=${JSON.stringify(escaped(value))}`,
  runtime: (value) => `runtime.name==${JSON.stringify(value)}`,
  label: labelFilter,
};

/** Docker's name of a status that has another one here. */
const STATUS_ALIASES: Record<string, ContainerStatus> = { exited: 'stopped', up: 'running' };

/**
 * `--filter` as Docker has it (`name=web`, `label=tier=db`, `status=exited`), where all keys must match, or in containerd's language
 * (`id==web,labels.tier==db`), where each filter stands for itself. Throws UsageError for a key or status that is not there.
 */
export function parseContainerFilters(texts: readonly string[]): ContainerFilter {
  const filters: string[] = [];
  const selectors: string[] = [];
  const statuses: ContainerStatus[] = [];
  for (const text of texts) {
    const docker = /^([a-z]+)=(?![=])(.*)$/.exec(text);
    if (!docker) filters.push(text);
    else if (docker[1] === 'status') statuses.push(statusOf(docker[2]!));
    else selectors.push(selectorOf(docker[1]!, docker[2]!));
  }
  const common = selectors.join(',');
  if (common === '') return { filters, statuses };
  return {
    filters: filters.length === 0 ? [common] : filters.map((filter) => `${filter},${common}`),
    statuses,
  };
}

export function labelFilter(text: string): string {
  const equals = text.indexOf('=');
  const key = `labels.${JSON.stringify(equals < 0 ? text : text.slice(0, equals))}`;
  return equals < 0 ? key : `${key}==${JSON.stringify(text.slice(equals + 1))}`;
}

function selectorOf(key: string, value: string): string {
  const make = Object.hasOwn(DOCKER, key) ? DOCKER[key] : undefined;
  if (make) return make(value);
  const keys = [...Object.keys(DOCKER), 'status'];
  const meant = nearest(key, keys);
  const hint = meant
    ? `Did you mean "${meant}=${value}"?`
    : `Keys are ${keys.join(', ')}; or use containerd's language: id==web.`;
  throw new UsageError(`filter "${key}=${value}": unknown key`, hint);
}

function statusOf(text: string): ContainerStatus {
  const status = STATUS_ALIASES[text] ?? STATUS_NAMES.find((name) => name === text);
  if (status) return status;
  throw new UsageError(
    `filter "status=${text}": unknown status`,
    `One of ${STATUS_NAMES.join(', ')}, exited.`,
  );
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
