import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { http, splitHostPort } from '@longshore/transport';
import { collectProcessMetrics } from './process-metrics.ts';
import { Histogram, Registry } from './prometheus.ts';
import { Readiness, type ReadinessChecks } from './readiness.ts';

/** Seconds: from a unary call on one machine to a long wait. */
const RPC_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];

export interface Metrics {
  registry: Registry;
  /** Ask for series that are made at each scrape, as text whose names are in no other source. They must not reject. */
  atScrape: (() => Promise<string>)[];
  /** Label `code` is the gRPC status code's number. */
  rpcSeconds: Histogram<'service' | 'method' | 'code'>;
}

export function createMetrics(service: string): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ longshore_service: service });
  collectProcessMetrics(registry);
  const rpcSeconds = new Histogram({
    name: 'longshore_rpc_duration_seconds',
    help: 'Time from the start of a gRPC call to its status, on the serving side.',
    labelNames: ['service', 'method', 'code'] as const,
    buckets: RPC_BUCKETS,
    registers: [registry],
  });
  return { registry, atScrape: [], rpcSeconds };
}

export interface MetricsServer {
  /** host:port */
  address: string;
  close(): Promise<void>;
}

export interface Health {
  /** The process takes calls. */
  isHealthy(): boolean;
  checks?: ReadinessChecks;
}

/**
 * Serves `/metrics` (Prometheus text), `/healthz` (200 when the process takes calls, else 503), and `/readyz` (200 when
 * what it needs is there too, else 503 with a line for each thing that is away).
 */
export async function serveMetrics(
  metrics: Metrics,
  listen: string,
  { isHealthy, checks }: Health,
): Promise<MetricsServer> {
  const readiness = new Readiness(checks);
  const server = http.createServer((request, response) => {
    const answer = (problems: string[]) =>
      response.writeHead(problems.length === 0 ? 200 : 503).end(`${problems.join('\n') || 'ok'}\n`);
    if (request.url === '/metrics') {
      textOf(metrics).then(
        (text) => response.setHeader('content-type', metrics.registry.contentType).end(text),
        (error) => response.writeHead(500).end(String(error)),
      );
    } else if (request.url === '/healthz' || (request.url === '/readyz' && !isHealthy())) {
      answer(isHealthy() ? [] : ['not serving']);
    } else if (request.url === '/readyz') {
      void readiness.problems().then(answer);
    } else {
      response.writeHead(404).end();
    }
  });
  const { host, port } = splitHostPort(listen);
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  return {
    address: `${host}:${(server.address() as AddressInfo).port}`,
    close: () => closeHttp(server),
  };
}

async function textOf({ registry, atScrape }: Metrics): Promise<string> {
  const texts = await Promise.all([registry.metrics(), ...atScrape.map((source) => source())]);
  return texts.join('\n');
}

function closeHttp(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
