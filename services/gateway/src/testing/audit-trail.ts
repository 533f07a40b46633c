import { fromBinary } from '@bufbuild/protobuf';
import { openPool, type Pool } from '@longshore/postgres';
import {
  type AuditCall,
  AuditCallSchema,
  type AuditRefusal,
  AuditRefusalSchema,
  Outcome,
} from '@longshore/proto/longshore/audit/v1/audit_events';
import { SCHEMA } from '../database.ts';

/** What a gateway's audit log has told. */
export class AuditTrail {
  readonly pool: Pool;

  constructor(databaseUrl: string) {
    this.pool = openPool({ url: databaseUrl, schema: SCHEMA, size: 2 });
  }

  /** Of one request, oldest first. */
  async calls(requestId: string): Promise<AuditCall[]> {
    const rows = await this.#payloads('/audit/call');
    return rows.map((row) => fromBinary(AuditCallSchema, row)).filter((call) => call.requestId === requestId);
  }

  async refusals(): Promise<AuditRefusal[]> {
    return (await this.#payloads('/audit/refusal')).map((row) => fromBinary(AuditRefusalSchema, row));
  }

  /** `caller action namespace/node outcome`, with the kind of the error. */
  async told(requestId: string): Promise<string[]> {
    return (await this.calls(requestId)).map(({ caller, action, namespace, node, outcome, error }) =>
      `${caller} ${action} ${namespace}/${node} ${Outcome[outcome]} ${error}`.trim(),
    );
  }

  async #payloads(topic: string): Promise<Buffer[]> {
    const { rows } = await this.pool.query('SELECT payload FROM outbox WHERE topic = $1 ORDER BY seq', [
      topic,
    ]);
    return rows.map(({ payload }) => payload);
  }

  close(): Promise<void> {
    return this.pool.end();
  }
}
