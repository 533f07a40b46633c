/** One value of a series, and what tells it from the container's other values. */
export interface Sample {
  labels?: Readonly<Record<string, string>>;
  value: bigint | number;
}

/** A series of containers, by the name that containerd gives it, unit included. */
export interface Series<Stats> {
  name: string;
  help: string;
  type: 'gauge' | 'counter';
  /** Nothing when the shim did not tell of that part. */
  samples(stats: Stats): Sample[];
}

type Value = bigint | number | undefined;

export function gauge<Stats>(name: string, help: string, value: (stats: Stats) => Value): Series<Stats> {
  return { name: `container_${name}`, help, type: 'gauge', samples: (stats) => one(value(stats)) };
}

/** A series with a value for each of several things, e.g. devices. */
export function gauges<Stats>(name: string, help: string, samples: Series<Stats>['samples']): Series<Stats> {
  return { name: `container_${name}`, help, type: 'gauge', samples };
}

function one(value: Value): Sample[] {
  return value === undefined ? [] : [{ value }];
}
