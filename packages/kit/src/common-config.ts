import { type ConfigKey, key } from './config.ts';
import { AnyText, oneOf, Text, Whole, wholeFrom } from './value-schema.ts';

const LogLevel = oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent');

/** Keys that every service has. `service` names its socket and files. */
export function commonKeys(service: string) {
  return {
    root: key({
      env: 'LONGSHORE_ROOT',
      schema: Text,
      default: '/var/lib/longshore',
      unit: 'path',
      meaning: 'Directory of all durable state on this machine.',
    }),
    state: key({
      env: 'LONGSHORE_STATE',
      schema: Text,
      default: '/run/longshore',
      unit: 'path',
      meaning: 'Directory of all run-time files: sockets, addresses, process ids.',
    }),
    listen: key({
      env: `LONGSHORE_${service.toUpperCase()}_LISTEN`,
      schema: Text,
      default: (earlier) => `unix://${earlier.state}/${service}.sock`,
      defaultText: `unix://$LONGSHORE_STATE/${service}.sock`,
      unit: 'address',
      meaning: 'Where the gRPC API listens: unix:///path, or host:port, which needs TLS.',
    }),
    metricsListen: key({
      env: `LONGSHORE_${service.toUpperCase()}_METRICS_LISTEN`,
      schema: Text,
      default: '127.0.0.1:0',
      unit: 'host:port',
      meaning: 'Where GET /metrics, /healthz and /readyz are answered over HTTP; port 0 takes a free one.',
    }),
    tlsCert: tlsKey(
      'CERT',
      'Certificate chain in PEM, shown to callers and to other parts; its URI name says who this is, e.g. spiffe://longshore/service/content. New files of all three are taken up within seconds.',
    ),
    tlsKey: tlsKey('KEY', 'Private key in PEM that belongs to the certificate.'),
    tlsCa: tlsKey(
      'CA',
      'Certificate authorities in PEM; both ends of a TCP connection must show a certificate of one of them.',
    ),
    logLevel: key({
      env: 'LONGSHORE_LOG_LEVEL',
      schema: LogLevel,
      default: 'info',
      meaning: 'Least severe level that is logged: trace, debug, info, warn, error, fatal or silent.',
    }),
    shutdownTimeoutMs: key({
      env: 'LONGSHORE_SHUTDOWN_TIMEOUT_MS',
      schema: Whole,
      default: 5000,
      unit: 'ms',
      meaning: 'How long calls in flight may take to finish after SIGTERM before they are cut.',
    }),
    otlpEndpoint: key({
      env: 'OTEL_EXPORTER_OTLP_ENDPOINT',
      schema: AnyText,
      default: '',
      unit: 'URL',
      meaning:
        'OpenTelemetry collector (OTLP over HTTP). Empty: trace ids travel and are logged, nothing is sent.',
    }),
  };
}

function tlsKey(name: string, meaning: string): ConfigKey<string> {
  return key({ env: `LONGSHORE_TLS_${name}`, schema: AnyText, default: '', unit: 'path', meaning });
}

/** The addresses of another service; its unix socket of this machine unless configured. */
export function peerKey(service: string): ConfigKey<string> {
  return key({
    env: `LONGSHORE_${service.toUpperCase()}_ADDRESS`,
    schema: Text,
    default: (earlier) => `unix://${earlier.state}/${service}.sock`,
    defaultText: `unix://$LONGSHORE_STATE/${service}.sock`,
    unit: 'addresses',
    meaning: `Where the ${service} service is reached: unix:///path or host:port (TLS); of replicas, all of them with commas between.`,
  });
}

/** Keys of a service that keeps metadata in Postgres. */
export function databaseKeys() {
  return {
    databaseUrl: key({
      env: 'DATABASE_URL',
      schema: Text,
      unit: 'URL',
      secret: true,
      meaning: 'Postgres, e.g. postgres://user@/longshore?host=/run/postgresql. May hold a password.',
    }),
    databasePoolSize: key({
      env: 'LONGSHORE_DATABASE_POOL_SIZE',
      schema: wholeFrom(2),
      default: 8,
      unit: 'connections',
      meaning:
        'Most connections that this process holds to Postgres, one of which listens for changes; at least 2.',
    }),
  };
}

/** Keys of a service that nodes watch. */
export function watchKeys() {
  return {
    watchRetentionMs: key({
      env: 'LONGSHORE_WATCH_RETENTION_MS',
      schema: Whole,
      default: 60 * 60 * 1000,
      unit: 'ms',
      meaning:
        'How long deletions are remembered: a node that was away for longer may have to list its records anew.',
    }),
  };
}
