/**
 * JSON schema of what our compose file uses of the Compose specification, and nothing else: a misspelt or misplaced key
 * is found because it is not here. Source: https://github.com/compose-spec/compose-spec/blob/main/spec.md
 */
const text = { type: 'string' } as const;
const words = { type: 'array', items: text, minItems: 1 } as const;
const duration = { type: 'string', pattern: '^([0-9]+(us|ms|s|m|h))+$' } as const;
const name = '^[a-zA-Z0-9._-]+$';

const environment = {
  type: 'object',
  patternProperties: { '^[A-Z][A-Z0-9_]*$': { type: 'string' } },
  additionalProperties: false,
} as const;

const dependencies = {
  anyOf: [
    { ...words, uniqueItems: true },
    {
      type: 'object',
      patternProperties: {
        [name]: {
          type: 'object',
          required: ['condition'],
          properties: {
            condition: { enum: ['service_started', 'service_healthy', 'service_completed_successfully'] },
          },
          additionalProperties: false,
        },
      },
      additionalProperties: false,
    },
  ],
} as const;

const service = {
  type: 'object',
  anyOf: [{ required: ['image'] }, { required: ['build'] }],
  properties: {
    build: {
      type: 'object',
      required: ['context'],
      properties: { context: text, dockerfile: text },
      additionalProperties: false,
    },
    image: text,
    entrypoint: words,
    command: words,
    environment,
    depends_on: dependencies,
    volumes: {
      type: 'array',
      items: { type: 'string', pattern: '^[^:]+:/[^:]*(:(ro|rw))?$' },
      uniqueItems: true,
    },
    ports: {
      type: 'array',
      items: { type: 'string', pattern: '^([0-9.]+:)?[0-9]+:[0-9]+(/(tcp|udp))?$' },
      uniqueItems: true,
    },
    healthcheck: {
      type: 'object',
      required: ['test'],
      properties: { test: words, interval: duration, timeout: duration, retries: { type: 'integer' } },
      additionalProperties: false,
    },
    restart: { type: 'string', pattern: '^(no|always|unless-stopped|on-failure(:[0-9]+)?)$' },
    stop_grace_period: duration,
    privileged: { type: 'boolean' },
    pid: { enum: ['host'] },
    cgroup: { enum: ['host', 'private'] },
  },
  additionalProperties: false,
} as const;

export const COMPOSE_SCHEMA = {
  type: 'object',
  required: ['services'],
  properties: {
    name: { type: 'string', pattern: '^[a-z0-9][a-z0-9_-]*$' },
    services: { type: 'object', patternProperties: { [name]: service }, additionalProperties: false },
    volumes: { type: 'object', patternProperties: { [name]: { type: 'null' } }, additionalProperties: false },
  },
  // Fragments that other parts refer to.
  patternProperties: { '^x-': {} },
  additionalProperties: false,
};
